// The worst thirty: what befalls a cluster of three, line by line; two or three troubles at once. A line is a deed
// (by-hand.ts) or a verb, which may be ended after an act, killed (-9) when it says something, or have a wrong clock.
import { v35, v36, v37 } from './ladder.ts'

export interface Story {
  title: string
  tell: string[]
  /** The etcd that it begins with, where that matters. */
  on?: string
  /**
   * How it ends: healthy, with every acknowledged write there; recovered from what one member had; or restored, as the
   * tool names it where no data is left, without what was written after the backup.
   */
  end?: 'recovered' | 'restored'
  /** It is told on local hosts, on hosts over ssh, or on both. */
  where: 'local' | 'ssh' | 'both'
}

export const worst: Story[] = [
  {
    title: 'a member stopped, another without its data',
    tell: ['wipe master02', 'stop master03'],
    where: 'both',
  },
  {
    title: 'all members stopped, one of them without its data',
    tell: ['stop master01 master02', 'wipe master03'],
    where: 'both',
  },
  {
    title: 'two hosts lost while a replacement is half done',
    tell: ['replace master02, ended after act 2', 'lose master02 master03'],
    end: 'recovered',
    where: 'both',
  },
  {
    title: 'a host lost while a scale to five is half done',
    tell: ['scale --masters 5, ended after act 3', 'lose master03'],
    where: 'local',
  },
  {
    title: 'two hosts lost once the fourth member votes',
    tell: ['scale --masters 5, ended after act 4', 'lose master02 master03'],
    end: 'recovered',
    where: 'local',
  },
  {
    title: 'two of five hosts lost on an etcd that adds no member beside a dead one',
    tell: ['scale --masters 5', 'lose master02 master04'],
    on: v35,
    where: 'local',
  },
  {
    title: 'two hosts lost, and the recovery killed before a cluster is formed',
    tell: ['lose master02 master03', 'recover, killed at [STARTED] Forget the members', 'stop master01'],
    end: 'recovered',
    where: 'both',
  },
  {
    title: 'a recovery killed, and what it had added lost again',
    tell: ['lose master02 master03', 'recover, killed at as a learner', 'wipe master02 master03'],
    end: 'recovered',
    where: 'both',
  },
  {
    title: 'all hosts lost but a backup',
    tell: ['lose master01 master02 master03'],
    end: 'restored',
    where: 'both',
  },
  {
    title: 'all data lost, and the certificates here, too',
    tell: ['wipe master01 master02 master03', 'lose the certificates here'],
    end: 'restored',
    where: 'local',
  },
  {
    title: 'all hosts lost but a backup, and the restore killed',
    tell: [
      'lose master01 master02 master03',
      'restore BACKUP, killed at [STARTED] Write the inventory',
      'lose master01',
    ],
    end: 'restored',
    where: 'both',
  },
  {
    title: 'a member removed by hand, another stopped',
    tell: ['remove by hand master02', 'stop master03'],
    where: 'both',
  },
  {
    title: 'a member removed by hand, another without its data',
    tell: ['remove by hand master01', 'wipe master02'],
    end: 'recovered',
    where: 'local',
  },
  {
    title: 'a stranger added as a voter by hand, and a member stopped',
    tell: ['add a strange voter beside master01', 'stop master02'],
    where: 'local',
  },
  {
    title: 'NOSPACE beside a learner that was left over',
    tell: ['add as a learner by hand, not started, master03', 'raise NOSPACE on master01'],
    where: 'both',
  },
  {
    title: 'NOSPACE beside a lost host',
    tell: ['raise NOSPACE on master01', 'lose master03'],
    where: 'local',
  },
  {
    title: 'CORRUPT beside a stopped member',
    tell: ['raise CORRUPT on master02', 'stop master03'],
    where: 'both',
  },
  {
    title: 'CORRUPT on two members',
    tell: ['raise CORRUPT on master02 master03'],
    where: 'local',
  },
  {
    title: 'a full disk beside a stopped member',
    tell: ['fill the disk of master02', 'stop master03'],
    where: 'ssh',
  },
  {
    title: 'a host off, and a member stopped',
    tell: ['switch off master02', 'stop master03'],
    where: 'ssh',
  },
  {
    title: 'a frozen member beside a lost host',
    tell: ['freeze master02', 'lose master03'],
    where: 'local',
  },
  {
    title: 'the authority expired, and a host lost',
    tell: ['let the authority expire', 'lose master03'],
    where: 'both',
  },
  {
    title: 'all certificates expired, and a member without its data',
    tell: ['let all certificates expire', 'wipe master02'],
    where: 'local',
  },
  {
    title: 'certificates of another authority on a host, and a member stopped',
    tell: ['give certificates of another authority to master02', 'stop master03'],
    where: 'both',
  },
  {
    title: 'the certificates here lost, and a member stopped',
    tell: ['lose the certificates here', 'stop master02'],
    where: 'both',
  },
  {
    title: 'the certificates here lost, and a host lost',
    tell: ['lose the certificates here', 'lose master03'],
    where: 'both',
  },
  {
    title: 'the certificates here lost, NOSPACE, and a host lost',
    tell: ['raise NOSPACE on master01', 'lose the certificates here', 'lose master03'],
    where: 'local',
  },
  {
    title: 'the certificates here lost, and two hosts lost',
    tell: ['lose the certificates here', 'lose master02 master03'],
    end: 'recovered',
    where: 'local',
  },
  {
    title: 'all certificates expired, and the key of the authority lost',
    tell: ['let all certificates expire', 'lose the key of the authority'],
    where: 'local',
  },
  {
    title: "the key of the authority lost, and the clients' certificate here",
    tell: ['lose the key of the authority', "lose the clients' certificate here"],
    where: 'local',
  },
  {
    title: 'a change of the authority killed late, the certificates here lost, and a host lost',
    tell: ['rotate-ca, killed at [COMPLETED] Issue every', 'lose the certificates here', 'lose master03'],
    where: 'local',
  },
  {
    title: 'a change of the authority killed late, and the certificates here lost',
    tell: ['rotate-ca, killed at [COMPLETED] Issue every', 'lose the certificates here'],
    where: 'local',
  },
  {
    title: 'a change of the authority at once, killed twice',
    tell: [
      'lose the certificates here',
      'lose master03',
      'pki --from-hosts',
      'rotate-ca, killed at [COMPLETED] Stop every',
      'rotate-ca, killed at [COMPLETED] Issue every',
    ],
    where: 'local',
  },
  {
    title: 'a change of the authority killed among its restarts, and a host lost',
    tell: ['rotate-ca, killed at [OUTPUT] Restart etcd on', 'lose master03'],
    where: 'both',
  },
  {
    title: 'an upgrade killed, and a host lost',
    tell: [`upgrade --etcd-version ${v37}, ended after act 2`, 'lose master03'],
    where: 'both',
  },
  {
    title: 'an upgrade killed, and no quorum left running',
    tell: [`upgrade --etcd-version ${v37}, ended after act 2`, 'stop master02 master03'],
    where: 'local',
  },
  {
    title: 'an upgrade killed, and the authority expired',
    tell: [`upgrade --etcd-version ${v37}, ended after act 2`, 'let the authority expire'],
    where: 'local',
  },
  {
    title: 'a downgrade killed, and a member without its data',
    tell: [`downgrade --etcd-version ${v35}, ended after act 3`, 'wipe master03'],
    where: 'local',
  },
  {
    title: 'a downgrade of five killed in a restart, and a member without its data',
    tell: ['scale --masters 5', `downgrade --etcd-version ${v36}, killed at Restart etcd on`, 'wipe master05'],
    on: v37,
    where: 'local',
  },
  {
    title: 'a downgrade enabled by hand, and a host lost',
    tell: ['enable a downgrade by hand', 'lose master03'],
    on: v37,
    where: 'local',
  },
  {
    title: 'a clock 400 days ahead beside a lost host',
    tell: ['lose master02', 'replace master02, by a clock +400d', 'rotate-certs --all, by a clock +400d'],
    where: 'local',
  },
  {
    title: 'NOSPACE beside two stopped members',
    tell: ['raise NOSPACE on master01', 'stop master02 master03'],
    where: 'local',
  },
]

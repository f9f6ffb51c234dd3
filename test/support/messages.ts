// Every row of the table of findings as a person sees it: `npm run messages` prints them, to be read aloud.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import type { Code, Finding } from '../../tasks/etcd/findings.ts'
import { inWords } from '../../tasks/etcd/findings.ts'
import { cluster, codes, said, upgrading } from './findings.ts'

const usual = {
  host: 'master02',
  hosts: ['master02'],
  id: '8e9e05c52164694d',
  name: 'etcd-cluster-1',
  reason: 'connection refused',
  at: 'https://10.0.0.12:2379',
  now: '2026-11-26 20:24',
  is: '2026-12-08',
  port: 2379,
  days: 12,
  voters: 3,
  needed: 2,
  well: 1,
  free: 40,
}
const authority = 'certs/etcd-cluster-1'
const versions = { is: '3.5.33', most: '3.6.14', due: '3.6.14', from: '3.6.14', to: '3.7.1' }
const restore = { what: 'restore', name: 'etcd-cluster-1' }
const certificate = { what: 'master02/server.crt', reason: 'ends on 2026-12-08', due: 'certs/etcd-cluster-1/master02' }
const others = { hosts: ['master01', 'master03'] }
/** Where the usual facts do not fit. */
const examples: Partial<Record<Code, object>> = {
  'no-record': { at: '.cluster/etcd-cluster-1/inventory.yml', what: '.cluster/etcd-cluster-1/cluster.json' },
  'no-authority': { reason: 'certs/etcd-cluster-1/ca.crt is missing or damaged' },
  'no-certificates': { at: authority },
  'authority-expired': { is: '2026-11-01' },
  'authority-early': { at: `${authority}/ca.crt`, is: '2027-11-01' },
  'no-authority-key': { at: `${authority}/ca.key`, reason: 'is missing' },
  'no-next-authority-key': { at: `${authority}/next-ca.key`, reason: 'is missing' },
  'authority-key-closed': {
    reason: `${authority}/ca.key is encrypted, and HA_ETCD_CA_PASSPHRASE is not set`,
    lost: 'no-authority-key',
  },
  'no-client-certificate': { at: authority, reason: 'expired on 2026-11-01' },
  'move-begun': { what: 'upgrade', due: '3.7.1' },
  'half-restored': restore,
  'old-trust': { name: 'etcd-cluster-1', what: 'lets in clients of its old authority' },
  'other-authority': { is: 'CN=etcd-ca, O=etcd-cluster-1' },
  'certificate-of-other-address': { due: '10.0.0.12' },
  'auth-enabled': { name: 'etcd-client' },
  'stranger-member': { is: 'https://10.0.0.19:2380' },
  'call-fails': { what: 'status' },
  'other-leader': { is: '91bc3c398fb3c146' },
  'other-name': { is: 'master09' },
  'other-client-url': { is: 'https://10.0.0.9:2379', due: usual.at },
  'other-peer-url': { is: 'https://10.0.0.9:2380', due: 'https://10.0.0.12:2380' },
  'downgrade-enabled': versions,
  'other-data': { is: '1273541', most: '9981233' },
  'writes-lost': { what: 'master01' },
  'other-cluster': { is: 'cdf818194e3a8c32', most: '7e27652122e8b2ae' },
  'others-ill': others,
  'other-version': versions,
  refused: { what: 'add master02 as a learner', reason: 'there are two learners already' },
  'only-member': { host: 'master01' },
  'data-quorum': others,
  'no-data': others,
  'certificate-missing': certificate,
  'no-trace': { what: 'add master02 as a learner' },
  'mixed-versions': versions,
  'strange-version': versions,
  'no-way-back': { is: '3.7.1', due: '3.6.14' },
  'no-time': { what: 'its status' },
  'lets-in': { what: 'plain HTTP', reason: 'the answer was 200' },
  'certificate-due': certificate,
  'other-certificate': certificate,
  'schedule-failed': { what: 'backup', at: '2026-11-27 02:30', reason: 'there is no quorum' },
  'schedule-idle': { what: 'backup, verify' },
  'quota-near': { from: '6 days', is: '1.4 GiB', due: '2.0 GiB', days: 11, free: true },
  'half-scaled': { hosts: ['master01', 'master02', 'master03', 'master04', 'master05'] },
}

function message(code: Code): string {
  const detail = said[code]
    ?.replace('HOST are members', 'master02 and master03 are members')
    .replaceAll('HOST', 'master02')
  const finding = { ...usual, ...examples[code], code, detail } as unknown as Finding
  return `${code}\n  ${inWords(code === 'move-begun' ? upgrading : cluster, finding).replaceAll('. ', '.\n  ')}`
}

/** The table's own headings and codes, in its order. */
for (const line of readFileSync(join(projectFolder, 'tasks/etcd/findings.ts'), 'utf8').split('\n')) {
  const [, heading] = /^ {2}\/\/ (.*)/.exec(line) ?? []
  const code = codes.find((one) => RegExp(`^  '?${one}'?: (row|ofRole)`).test(line))
  if (heading) console.log(`\n## ${heading}\n`)
  if (code) console.log(message(code))
}

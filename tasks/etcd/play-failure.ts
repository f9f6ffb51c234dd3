// What went wrong in a play, as a sentence: the host, what Ansible or the role said of it, and what helps.
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { vaultHint } from '../core/own-ansible.ts'
import type { PlayFailure, RoleFinding, Told } from './play-events.ts'
import { ourRemedy } from './role-remedies.ts'

interface Failure {
  /** None where the message names whom it concerns. */
  host?: string
  message: string
  code?: string
  hint?: string | undefined
  output?: string | undefined
}

/** A cause outside etcd that Ansible, ssh, sudo or the system names in words of its own; $1 is the pattern's first group. */
interface Cause {
  pattern: RegExp
  says: string
  hint: string
}

const again = 'then run the same command again.'

/** Why a host is unreachable, in ssh's words. The first that matches counts, so the particular comes before the general. */
const unreachable: Cause[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    says: 'its SSH host key is not the one that was known.',
    hint: `If the host was made anew, forget the old key: ssh-keygen -R its address; ${again}`,
  },
  {
    pattern: /Host key verification failed/,
    says: 'its SSH host key is not known here.',
    hint: `See that it is the right host, and connect to it once by hand: ssh asks for the key; ${again}`,
  },
  {
    pattern: /no such identity: ([^:\s]+)/,
    says: 'the SSH key $1 is not there.',
    hint: `Name another one (ssh.identityFile, ansible_ssh_private_key_file), ${again}`,
  },
  {
    pattern: /UNPROTECTED PRIVATE KEY FILE/,
    says: 'SSH does not use the key, since other users may read it.',
    hint: `Close it to them: chmod 600 on the key; ${again}`,
  },
  {
    pattern: /(\S+)@\S+: Permission denied \(/,
    says: 'SSH does not let the user $1 in.',
    hint: `Correct the user or the key (ssh.user, ssh.identityFile), ${again}`,
  },
  {
    pattern: /Could not resolve hostname ([^:\s]+)/,
    says: 'nobody knows the name $1.',
    hint: `Correct its address (ssh.host, ansible_host), ${again}`,
  },
  {
    pattern: /connect to host (\S+ port \d+): Connection refused/,
    says: 'nothing answers SSH at $1.',
    hint: `Start sshd there, or correct the port, ${again}`,
  },
  {
    pattern: /connect to host (\S+) port \d+: ([^\\\r\n]+)/,
    says: 'it cannot be reached at $1 ($2).',
    hint: `Start the host, or correct its address, ${again}`,
  },
  {
    pattern:
      /not responding|closed by remote host|Connection reset|Broken pipe|Shared connection to|lost connection|Connection closed|client_loop|mux_client/i,
    says: 'the connection was lost in the middle of the run.',
    hint: 'When it is back, run the same command again: it goes on where this one ended.',
  },
  {
    pattern: /timed out/i,
    says: 'it does not answer over SSH.',
    hint: `Start the host, or correct its address, ${again}`,
  },
]

const vault: Cause = {
  pattern: /no vault secrets (?:were )?found/,
  says: 'a variable is encrypted by ansible-vault, and its password is not known here.',
  hint: vaultHint,
}

/** What else may fail before the role itself has a word, or beneath it. */
const failing: Cause[] = [
  vault,
  {
    pattern: /you must have a tty to run sudo/,
    says: 'sudo wants a terminal there (requiretty).',
    hint: `Let the user run sudo without one (Defaults:USER !requiretty in /etc/sudoers.d); or set ANSIBLE_PIPELINING=0, which lays what Ansible runs, keys included, on the host's disk for a moment; ${again}`,
  },
  {
    pattern: /privilege escalation prompt/,
    says: 'sudo does not answer there.',
    hint: `See by hand what it waits for (sudo -v), ${again}`,
  },
  {
    pattern: /Missing sudo password|a password is required|Incorrect sudo password/,
    says: 'sudo wants a password there.',
    hint: `Let the user run sudo without one (NOPASSWD in /etc/sudoers.d), ${again}`,
  },
  {
    pattern: /not in the sudoers file|is not allowed to (?:execute|run)/,
    says: 'the user may not use sudo there.',
    hint: `Let the user run sudo without a password (NOPASSWD in /etc/sudoers.d), ${again}`,
  },
  {
    pattern: /sudo: (?:command )?not found|sudo: No such file/,
    says: 'there is no sudo.',
    hint: `Install it there, or connect as root, ${again}`,
  },
  {
    pattern: /feature annotations is not defined|feature_version|requires a minimum of Python/,
    says: 'its Python is too old.',
    hint: `Python 3.7 or later is needed: install it there, and name it (python in hosts, ansible_python_interpreter), ${again}`,
  },
  {
    pattern: /python\S*: (?:command )?not found|python\S*: No such file|need to set the interpreter/,
    says: 'there is no Python.',
    hint: `Install Python 3 there (Debian: apt-get install python3, not python3-minimal), or name another one (python in hosts, ansible_python_interpreter), ${again}`,
  },
  {
    pattern: /No space left on device|Disk quota exceeded/i,
    says: 'its disk is full.',
    hint: `Free some space there, ${again}`,
  },
  {
    pattern: /Read-only file system/,
    says: 'its disk is read-only.',
    hint: `See why in its log (dmesg), mend that, ${again}`,
  },
]

/**
 * The play's first failure, and who else failed.
 * @param output what is shown when there is none
 * @param log the log that holds the rest
 */
export function playFailure(cluster: Cluster, failed: PlayFailure[], output: string, log?: string): OperationError {
  const more = log ? { log } : {}
  const failures = failed.flatMap((one) =>
    one.event === 'refused' ? one.findings.map((finding) => inWords(cluster, finding)) : happened(cluster, one),
  )
  const [first, ...others] = failures
  if (!first) {
    const cause = causeOf([vault], output)
    return cause
      ? new OperationError(`ansible-playbook: ${cause.message}`, { hint: cause.hint, ...more })
      : new OperationError('ansible-playbook failed before it reached a host.', { output, ...more })
  }
  const also = [...new Set(others.flatMap(({ host }) => (host && host !== first.host ? [host] : [])))]
  const who = first.host ? `${first.host}${also.length > 0 ? ` (and ${also.join(', ')})` : ''}: ` : ''
  const below = [first.output, ...others.filter(({ host }) => !host).map(({ message }) => message)].filter(Boolean)
  return new OperationError(`${who}${first.message}`, {
    ...(first.code && { code: first.code }),
    ...(below.length > 0 && { output: below.join('\n') }),
    ...(first.hint && { hint: first.hint }),
    ...more,
  })
}

/** What the role says itself; where a command of ours helps, that is named. */
const inWords = (cluster: Cluster, finding: RoleFinding): Failure => ({
  message: finding.detail,
  code: finding.code,
  hint: ourRemedy(cluster, finding) ?? finding.remedy,
  output: finding.output,
})

function happened(
  cluster: Cluster,
  { event, host, told, finding }: Exclude<PlayFailure, { event: 'refused' }> & { finding?: RoleFinding },
): Failure {
  const words = finding ? (finding.output ?? '') : Object.values(told).join('\n')
  const cause = causeOf(event === 'unreachable' ? unreachable : failing, words)
  return { host, ...(cause ?? (finding ? inWords(cluster, finding) : { message: lastWords(told) })) }
}

/** A command's own last words say more than Ansible's. Over a terminal (raw) all of them are in stdout, and stderr holds only ssh's farewell. */
function lastWords({ msg = '', stdout = '', stderr = '' }: Told): string {
  const words = (stdout.trim() || stderr.trim()).split(/\r?\n/).at(-1)
  return (msg === 'non-zero return code' && words) || msg.trim()
}

function causeOf(causes: Cause[], text: string): { message: string; hint: string } | undefined {
  for (const { pattern, says, hint } of causes) {
    const found = pattern.exec(text)
    if (found)
      return { message: says.replace(/\$(\d)/g, (_, group: string) => (found[Number(group)] ?? '').trim()), hint }
  }
  return undefined
}

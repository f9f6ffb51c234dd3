// What went wrong in a play, as a sentence: the host, what Ansible or the role said of it, and what helps.
import { OperationError } from '../core/errors.ts'
import { vaultHint } from '../core/own-ansible.ts'
import { listed } from '../core/terminal.ts'

/** A line in which Ansible reports a failure, and the task that it came from. */
export interface FailedLine {
  task: string
  line: string
}

/** The role refused, and has changed nothing. */
export class RoleRefusal extends OperationError {}

interface Failure {
  host: string
  message: string
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
 * The play's first failure; the hosts that failed for the same reason beside its own, the others' reasons below.
 * @param failed Ansible's lines that begin with fatal or failed
 * @param output what is shown when there is no such line
 * @param log the log that holds the rest
 */
export function playFailure(failed: FailedLine[], output: string, log?: string): OperationError {
  const more = log ? { log } : {}
  const failures = failed.map(parse)
  const [first] = failures
  if (!first) {
    const cause = causeOf([vault], output)
    return cause
      ? new OperationError(`ansible-playbook: ${cause.message}`, { ...(cause.hint && { hint: cause.hint }), ...more })
      : new OperationError('ansible-playbook failed before it reached a host.', { output, ...more })
  }
  const others = failures.filter((one, index) => failures.findIndex(({ host }) => host === one.host) === index).slice(1)
  const same = others.filter(({ message }) => message === first.message)
  const who = first.host && `${listed([first, ...same].map(({ host }) => host))}: `
  const below = others
    .filter((one) => !same.includes(one))
    .map((one) => [`Also: ${one.host}: ${one.message} ${one.hint ?? ''}`.trim(), one.output].filter(Boolean).join('\n'))
  const words = [first.output, ...below].filter(Boolean).join('\n')
  const Kind = isRefusal(failed[0]) ? RoleRefusal : OperationError
  return new Kind(`${who}${first.message}`, {
    ...(words && { output: words }),
    ...(first.hint && { hint: first.hint }),
    ...more,
  })
}

const isRefusal = (failed: FailedLine | undefined): boolean => failed?.task.startsWith('Refuse') === true

function parse({ task, line }: FailedLine): Failure {
  const [, host = '', json = ''] = /^\w+: \[([^\]\s]+)[^\]]*\](?: \(.*?\))?: \w+! => (.*)$/.exec(line) ?? []
  const { message, everything } = read(json || line)
  // A refusal concerns all hosts, and names the one it means; Ansible reports it for the first.
  if (isRefusal({ task, line })) return { host: '', ...refusal(message) }
  const cause = causeOf(line.includes(': UNREACHABLE! =>') ? unreachable : failing, everything)
  return cause ? { host, ...cause } : { host, ...wordsOf(message) }
}

/** Ansible's JSON: its message, and all text in which a cause may be named. A command's own last words say more than Ansible's. */
function read(json: string): { message: string; everything: string } {
  try {
    const { msg, module_stderr, module_stdout, exception, stderr, stdout } = JSON.parse(json) as Record<string, unknown>
    const texts = [msg, module_stderr, module_stdout, exception, stderr, stdout].filter(
      (text): text is string => typeof text === 'string',
    )
    // Over a terminal (raw) all of them are in stdout, and stderr holds only ssh's farewell.
    const lastWords = (String(stdout ?? '').trim() || String(stderr ?? '').trim()).split(/\r?\n/).at(-1)
    return {
      message: (msg === 'non-zero return code' && lastWords) || String(msg ?? json),
      everything: texts.join('\n'),
    }
  } catch {
    return { message: json, everything: json }
  }
}

/** The role's own refusals: a line for each host, its remedy behind "What helps:" or as a last sentence. */
function refusal(message: string): Omit<Failure, 'host'> {
  const [first = '', ...others] = message.split('\n')
  const [text = '', helps] = first.split(' What helps: ')
  const output = others.map((line) => line.split(' What helps: ')[0]).join('\n')
  return { ...(helps ? { message: text, hint: helps } : sentence(first)), ...(output && { output }) }
}

function causeOf(causes: Cause[], text: string): Omit<Failure, 'host'> | undefined {
  for (const { pattern, says, hint } of causes) {
    const found = pattern.exec(text)
    if (found)
      return { message: says.replace(/\$(\d)/g, (_, group: string) => (found[Number(group)] ?? '').trim()), hint }
  }
  return undefined
}

/** A module's message: its first line, and below it etcd's own last words, if any. */
function wordsOf(message: string): Omit<Failure, 'host'> {
  const [text = '', ...lastWords] = message.trim().split('\n')
  if (lastWords.length === 0) return sentence(text)
  return {
    message: text,
    output: lastWords.join('\n'),
    hint: 'Put right what it says (cluster.yaml, etcd.environment), then run the same command again.',
  }
}

/** The command that helps, where the role's message ends with it. */
function sentence(text: string): Omit<Failure, 'host'> {
  const [, message = '', hint] =
    /^(.*?)(?:\s((?:Replace it: |Move it aside: |Correct |Run this |Start the |Give |Make it healthy, ).*))?$/.exec(
      text,
    ) ?? []
  return { message, hint }
}

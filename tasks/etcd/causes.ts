// What ssh, sudo, Python, Ansible and the system say of a failure, read here only: they have words and no codes.
import { vaultHint, vaultWords } from '../core/own-ansible.ts'

/** $1 in `says` is the pattern's first group. */
export interface Cause {
  pattern: RegExp
  says: string
  hint: string
}

const anyOf = (...words: string[]): RegExp => new RegExp(words.join('|'), 'i')

const again = 'then run the same command again.'

/** Why a host is unreachable, in ssh's words. The first that matches counts: the particular before the general. */
export const unreachable: Cause[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    says: 'its SSH host key is not the one that was known.',
    hint: `If the host was rebuilt, forget the old key: ssh-keygen -R its address; ${again}`,
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
    // Ansible's own words: ssh is well, but the far end has closed its standard input, since no Python or sudo runs
    // there. Otherwise the far end's words come first, and name which; which of the two comes first is chance.
    pattern: /could not be sent to remote host.*\[Errno 32\]/,
    says: 'what Ansible started there ended before it was told what to do.',
    hint: `See by hand whether sudo and Python work there (sudo -n python3 --version), mend that, ${again}`,
  },
  {
    pattern: anyOf(
      ...['not responding', 'closed by remote host', 'Connection reset', 'Broken pipe', 'Shared connection to'],
      ...['lost connection', 'Connection closed', 'client_loop', 'mux_client'],
    ),
    says: 'the connection was lost in the middle of the run.',
    hint: 'When it is back, run the same command again: it goes on where this one ended.',
  },
  {
    pattern: /timed out/i,
    says: 'it does not answer over SSH.',
    hint: `Start the host, or correct its address, ${again}`,
  },
]

export const vault: Cause = {
  pattern: vaultWords,
  says: 'a variable is encrypted by ansible-vault, and its password is not known here.',
  hint: vaultHint,
}

/** What else may fail before the role itself has a word, or beneath it. */
export const failing: Cause[] = [
  vault,
  {
    pattern: /you must have a tty to run sudo/,
    says: 'sudo wants a terminal there (requiretty).',
    hint:
      'Let the user run sudo without one (Defaults:USER !requiretty in /etc/sudoers.d); or set ' +
      `ANSIBLE_PIPELINING=0, which lays what Ansible runs, keys included, on the host's disk for a moment; ${again}`,
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
    hint:
      'Python 3.7 or later is needed: install it there, and name it (python in hosts, ' +
      `ansible_python_interpreter), ${again}`,
  },
  {
    pattern: /python\S*: (?:command )?not found|python\S*: No such file|need to set the interpreter/,
    says: 'there is no Python.',
    hint:
      'Install Python 3 there (Debian: apt-get install python3, not python3-minimal), or name another one ' +
      `(python in hosts, ansible_python_interpreter), ${again}`,
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

/** The first cause of these that the text names, as a sentence, and what helps. */
export function causeOf(causes: Cause[], text: string): { message: string; hint: string } | undefined {
  for (const { pattern, says, hint } of causes) {
    const found = pattern.exec(text)
    if (found)
      return { message: says.replace(/\$(\d)/g, (_, group: string) => (found[Number(group)] ?? '').trim()), hint }
  }
  return undefined
}

/** Whether the far end's sshd lets no connection through. */
export const forbidsTunnels = (said: string): boolean => said.includes('administratively prohibited')

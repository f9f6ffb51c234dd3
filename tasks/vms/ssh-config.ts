// The ssh configuration of a cluster's hosts: what Ansible, the tunnels and a person use to reach them.
import type { OwnHost } from '../core/own-hosts.ts'

/**
 * An ssh_config(5) with a block for each host. ssh takes the first value it finds: the person's own configuration, then
 * the system's fill the gaps, so that a jump host's name works, and a site's known hosts. `-F` alone would leave both
 * out. `more`: blocks of other hosts.
 */
export function sshConfig(hosts: OwnHost[], more: string[] = []): string {
  const blocks = [...hosts.map(block), ...more].join('\n')
  return `${blocks}\nHost *\n  Include ~/.ssh/config\n  Include /etc/ssh/ssh_config\n`
}

/** Host keys are checked, unless a person's own inventory has Ansible pass over them. */
function block({ name, address, ssh }: OwnHost): string {
  const lines = {
    HostName: ssh?.host ?? address,
    Port: ssh?.port,
    User: ssh?.user,
    IdentityFile: ssh?.identityFile,
    IdentitiesOnly: ssh?.identityFile && 'yes',
    UserKnownHostsFile: ssh?.knownHosts,
    ProxyJump: ssh?.jump,
  }
  const given = Object.entries(lines).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} ${quoted(String(value))}`],
  )
  const all = [...given, ...(ssh?.options ?? []), 'StrictHostKeyChecking yes']
  // By its address, too: that is what Ansible connects to.
  return `Host ${name} ${address}\n${all.map((line) => `  ${line}`).join('\n')}\n`
}

const quoted = (value: string): string => (/\s/.test(value) ? `"${value}"` : value)

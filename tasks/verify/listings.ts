// The two listings that etcdctl's cluster-health and member list gave, from the v3 API.
import { plain } from '../core/terminal.ts'
import type { Report } from './report.ts'

/** One line for each member, then the cluster's. */
export function healthListing({ members, healthy }: Report): string {
  const lines = members.map(
    ({ id, clientURLs, healthy }) =>
      `member ${id} is ${healthy ? 'healthy' : 'unhealthy'}: got ${healthy ? 'healthy' : 'unhealthy'} ` +
      `result from ${clientURLs[0]}`,
  )
  return plain([...lines, `cluster is ${healthy ? 'healthy' : 'unhealthy'}`].join('\n'))
}

/** One line for each member: its name, its URLs, and whether it leads. */
export function memberListing({ members }: Report): string {
  return plain(
    members
      .map(
        ({ id, name, peerURLs, clientURLs, isLeader }) =>
          `${id}: name=${name} peerURLs=${peerURLs.join(',')} clientURLs=${clientURLs.join(',')} isLeader=${isLeader}`,
      )
      .join('\n'),
  )
}

// The two listings that etcdctl's cluster-health and member list gave, from the v3 API.
import { plain } from '../core/terminal.ts'
import type { Report } from './report.ts'

const how = (healthy: boolean): string => (healthy ? 'healthy' : 'unhealthy')

export const healthListing = ({ members, healthy }: Report): string =>
  lines([
    ...members.map(
      (one) => `member ${one.id} is ${how(one.healthy)}: got ${how(one.healthy)} result from ${one.clientURLs[0]}`,
    ),
    `cluster is ${how(healthy)}`,
  ])

export const memberListing = ({ members }: Report): string =>
  lines(
    members.map(
      ({ id, name, peerURLs, clientURLs, isLeader }) =>
        `${id}: name=${name} peerURLs=${peerURLs.join(',')} clientURLs=${clientURLs.join(',')} isLeader=${isLeader}`,
    ),
  )

const lines = (texts: string[]): string => plain(texts.join('\n'))

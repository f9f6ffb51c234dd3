import { numberFlag } from '../core/flags.ts'
import { runPipeline } from '../core/pipeline.ts'
import { print, run } from '../core/run.ts'
import type { Verb } from '../core/script.ts'
import { warningLines } from '../core/terminal.ts'
import { type Report, tasks } from '../verify/index.ts'
import { healthListing, memberListing } from '../verify/listings.ts'

export const verb: Verb = {
  name: 'verify',
  summary: 'Proves that the cluster works, and that it refuses what it must.',
  needsCluster: true,
  byRecord: true,
  flags: { timeout: { value: 'SECONDS', summary: 'how long to wait for what heals by itself (default 15)' } },
  help: `Example:
  npx zx scripts/verify.ts --timeout 5

Exit code 0: healthy. 1: not; each fault is named with its host and what to do.`,
  act: async (cluster, flags) => {
    const seconds = numberFlag(flags, 'timeout', 1, { decimals: true })
    let report: Report | undefined
    const onReport = (found: Report): void => void (report = found)
    try {
      await runPipeline(tasks(cluster, { timeoutMs: seconds && seconds * 1000, onReport }))
    } finally {
      if (report && run().json) print(`${JSON.stringify(report, null, 2)}\n`)
    }
    run().closing = 'The cluster is healthy.'
    if (report && !run().json) print(`\n${healthListing(report)}\n\n${memberListing(report)}\n`)
    if (report && !run().json && report.warnings.length > 0) print(`\n${warningLines(report.warnings)}`)
  },
}

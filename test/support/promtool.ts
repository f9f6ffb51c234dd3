// Prometheus' own judge of rules, where it is there.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { findProgram } from '../../tasks/core/programs.ts'
import { temporaryFolder } from './folder.ts'

/** Why tests that need promtool are skipped; '' where it is there. */
export const withoutPromtool = findProgram('promtool') ? '' : 'promtool is not installed'

/** What promtool says of these files, each written as YAML; the last word names the file that is asked about. */
export function promtool(words: string[], files: Record<string, object>): { exitCode: number | null; output: string } {
  const folder = temporaryFolder()
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), stringify(content))
  const { status, stdout, stderr } = spawnSync('promtool', words, { cwd: folder, encoding: 'utf8' })
  return { exitCode: status, output: stdout + stderr }
}

/** The metrics that a query names: what stands before a brace or an operator and is no function or label. */
export function metricsIn(expr: string): string[] {
  const bare = expr
    .replace(/\{[^}]*\}/g, '')
    .replace(/\b(by|on|without|ignoring|group_left|group_right) \([^)]*\)/g, '')
  return [...new Set(bare.match(/\b(?:ha_etcd|etcd|grpc|process)_\w+|\bup\b/g) ?? [])]
}

import { loadSettings } from '../core/config.ts'
import { clusterFlags, type Flag, planFlag } from '../core/flags.ts'
import { recordedConfigFile } from '../core/record.ts'
import type { Verb } from '../core/script.ts'
import { faults } from '../drill/faults.ts'
import { drill } from '../drill/index.ts'

const width = Math.max(...Object.keys(faults).map(({ length }) => length)) + 2

const pick = (...names: string[]): Record<string, Flag> =>
  Object.fromEntries(names.flatMap((name) => (clusterFlags[name] ? [[name, clusterFlags[name]]] : [])))

export const verb: Verb = {
  name: 'drill',
  summary: 'Break a cluster on purpose, under load, and prove that no write is lost.',
  flags: {
    cluster: { value: 'NAME', summary: 'one of yours; asks first (default: one for the drill alone)' },
    ...pick('provider', 'masters', 'config'),
    only: { value: 'FAULTS', summary: 'these faults alone (with commas)' },
    report: { value: 'FILE', summary: 'the report, a page of HTML (default drill-CLUSTER-TIME.html)' },
    ...planFlag,
  },
  help: [
    'Without --cluster it makes a cluster called drill, and removes it at the end.',
    '\nFaults:',
    ...Object.entries(faults).map(([name, fault]) => `  ${name.padEnd(width)}${fault.name}: ${fault.means}`),
    '\nExample: npx zx scripts/drill.ts --report drill.html',
  ].join('\n'),
  actOnAll: (flags) =>
    drill(loadSettings({ ...flags, cluster: flags.cluster ?? 'drill' }, recordedConfigFile), {
      own: flags.cluster !== undefined,
      only: (flags.only as string | undefined)?.split(',').map((name) => name.trim()),
      report: flags.report as string | undefined,
      plan: flags.plan === true,
    }),
}

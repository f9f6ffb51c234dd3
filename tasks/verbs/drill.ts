import { loadSettings } from '../core/config.ts'
import { planFlag } from '../core/flags.ts'
import type { Verb } from '../core/script.ts'
import { faults } from '../drill/faults.ts'
import { drill } from '../drill/index.ts'

const width = Math.max(...Object.keys(faults).map(({ length }) => length)) + 2

export const verb: Verb = {
  name: 'drill',
  summary: 'Break a cluster on purpose, under load, and prove that no write is lost.',
  flags: {
    only: { value: 'FAULTS', summary: 'these faults alone (with commas)' },
    report: { value: 'FILE', summary: 'the report, a page of HTML (default drill-CLUSTER-TIME.html)' },
    ...planFlag,
  },
  help: [
    'Without --cluster it makes a cluster called drill, and removes it at the end.',
    'With --cluster NAME it asks first.',
    '\nFaults:',
    ...Object.entries(faults).map(([name, fault]) => `  ${name.padEnd(width)}${fault.name}: ${fault.means}`),
    '\nExample: npx zx scripts/drill.ts --report drill.html',
  ].join('\n'),
  act: (_, flags) =>
    drill(loadSettings({ ...flags, cluster: flags.cluster ?? 'drill' }), {
      only: (flags.only as string | undefined)?.split(',').map((name) => name.trim()),
      report: flags.report as string | undefined,
      plan: flags.plan === true,
    }),
}

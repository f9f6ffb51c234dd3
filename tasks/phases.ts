// THE table of phases. Scripts, --help, --from, --skip and the order of `up` all come from it.
import { agreeTo, type Check, checkPlan, checkTasks } from './core/check.ts'
import type { Cluster } from './core/cluster.ts'
import { UsageError } from './core/errors.ts'
import { type Flag, type Flags, planFlag } from './core/flags.ts'
import { concurrently, inOrder, runPipeline, type Task } from './core/pipeline.ts'
import { recordCluster } from './core/record.ts'
import { print, run } from './core/run.ts'
import type { Verb } from './core/script.ts'
import { suggest } from './core/suggest.ts'
import { warningLines } from './core/terminal.ts'
import { hostTasks } from './doctor.ts'
import { findEtcd } from './etcd/binaries.ts'
import * as etcdRole from './etcd-role/index.ts'
import * as pki from './pki/index.ts'
import { type Planned, printPlan } from './plan.ts'
import * as verify from './verify/index.ts'
import * as vms from './vms/index.ts'

export interface Phase extends Planned {
  summary: string
  /** The phases that must have been run before; `up` runs those that need the same at the same time. */
  needs: string[]
  tasks: (cluster: Cluster) => Task[]
  /** What its own script does besides; `up` leaves it out. */
  alone?: (cluster: Cluster) => Task[]
}

export const phases: Phase[] = [
  {
    name: 'doctor',
    summary: 'check this machine and the hosts, and get what is missing',
    needs: [],
    tasks: (cluster) => [concurrently('Check what is needed', checkTasks(doctorChecks(cluster)))],
    alone: hostTasks,
    plan: (cluster) => checkPlan(doctorChecks(cluster)),
  },
  {
    name: 'pki',
    summary: 'make the certificate authority and every certificate that is due',
    needs: ['doctor'],
    tasks: pki.tasks,
    plan: pki.plan,
  },
  { name: 'vms', summary: 'bring the hosts up', needs: ['doctor'], tasks: vms.tasks, plan: vms.plan },
  {
    name: 'etcd-role',
    summary: 'install, configure and start etcd with Ansible',
    needs: ['pki', 'vms'],
    tasks: etcdRole.tasks,
    plan: etcdRole.plan,
  },
  {
    name: 'verify',
    summary: 'prove that the cluster works, and refuses what it must',
    needs: ['etcd-role'],
    tasks: verify.tasks,
  },
]

/** Everything that doctor looks at, gathered from the phases that need it. */
const doctorChecks = (cluster: Cluster): Check[] => [...etcdRole.checks(cluster), ...vms.checks(cluster)]

/** The phase of that name. @throws UsageError naming the nearest one */
function phaseNamed(name: string): Phase {
  const phase = phases.find((candidate) => candidate.name === name)
  if (phase) return phase
  const names = phases.map((candidate) => candidate.name)
  throw new UsageError(`There is no phase ${name}.${suggest(name, names)}`)
}

/** The phases that `--from` and `--skip` leave. @throws UsageError for an unknown name */
export function selectPhases(from: string | undefined, skip: string | undefined): Phase[] {
  const first = from ? phases.indexOf(phaseNamed(from)) : 0
  const skipped = skip?.split(',').map((name) => phaseNamed(name.trim()))
  const selected = phases.slice(first).filter((phase) => !skipped?.includes(phase))
  if (selected.length === 0) throw new UsageError('--from and --skip leave no phase to run.')
  return selected
}

/** Runs the phases in order, those that need the same side by side; asks first. `first`: before a phase run alone. */
export async function runPhases(cluster: Cluster, selected: Phase[], first: Task[] = []): Promise<void> {
  if (selected.some((phase) => phase.name === 'etcd-role')) etcdRole.refuseHalfUpgraded(cluster)
  if (selected.some((phase) => phase.name === 'doctor')) {
    if (cluster.etcd.binaries) await findEtcd(cluster) // refuses those that are unfit before anything is asked
    await agreeTo(doctorChecks(cluster))
  }
  const [only] = selected
  if (selected.length === 1 && only)
    return runPipeline([...first, ...begin(only, cluster), ...(only.alone?.(cluster) ?? [])], { collapse: false })
  const waves = [...new Set(selected.map((phase) => phase.needs.join()))]
    .map((needs) => selected.filter((phase) => phase.needs.join() === needs))
    // Over ssh vms goes before pki: it notes how hosts are reached, and pki compares their clocks with ours first.
    .flatMap((wave) => (cluster.provider === 'ssh' ? wave.toReversed().map((phase) => [phase]) : [wave]))
  const together = (wave: Phase[]): Task => {
    const [first, ...others] = wave.map((phase) => asTask(phase, cluster))
    return first && others.length === 0
      ? first
      : concurrently(wave.map(({ name }) => name).join(' and '), [first, ...others] as Task[])
  }
  await runPipeline(waves.map(together))
}

const asTask = (phase: Phase, cluster: Cluster): Task =>
  inOrder(`${phase.name}: ${phase.summary}`, () => begin(phase, cluster))

/** Recorded with the first phase that makes something: doctor looks harder at what is not there yet. */
function begin(phase: Phase, cluster: Cluster): Task[] {
  if (phase.name !== 'doctor' && phase.name !== 'verify') recordCluster(cluster)
  return phase.tasks(cluster)
}

/** What a phase's own script has besides the phase: flags, and what it does before the phase. */
interface Alone {
  flags?: Record<string, Flag>
  help?: string
  evenHalfDone?: boolean
  first?: (cluster: Cluster, flags: Flags) => { tasks: Task[]; plan: () => Promise<string[]> }
}

/** The verb that runs one phase of the table alone. */
export function phaseVerb(name: string, { flags: more = {}, first, help, evenHalfDone }: Alone = {}): Verb {
  const phase = phaseNamed(name)
  const example = `Example: npx zx scripts/${name}.ts --cluster etcd-cluster-1`
  return {
    name,
    summary: `${phase.summary[0]?.toUpperCase()}${phase.summary.slice(1)}.`,
    writes: true,
    ...(evenHalfDone && { evenHalfDone }),
    flags: { ...more, ...(phase.plan && planFlag) },
    help: help ? `${help}\n\n${example}` : example,
    act: async (cluster, flags) => {
      if (flags.plan) return printPlan(cluster, [phase], (copy) => first?.(copy, flags).plan() ?? Promise.resolve([]))
      await runPhases(cluster, [phase], first?.(cluster, flags).tasks)
      const { json, report, warnings } = run()
      const { name: about } = cluster
      print(json ? `${JSON.stringify({ cluster: about, phase: name, ...report, warnings })}\n` : warningLines(warnings))
    },
  }
}

// Tasks run in order; a failure lets its siblings finish and starts nothing more.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OperationError } from '../../../tasks/core/errors.ts'
import { concurrently, inOrder, runPipeline, type Task } from '../../../tasks/core/pipeline.ts'
import { inRun, Run, run } from '../../../tasks/core/run.ts'

const test = suite('pipeline')
run().json = true // nothing is shown

const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

/** Tasks that write down that they began and ended; those named "fail…" throw. */
function recorder(): { seen: string[]; task: (name: string, ms?: number) => Task } {
  const seen: string[] = []
  const task = (name: string, ms = 0): Task => ({
    title: name,
    task: async () => {
      seen.push(`${name} began`)
      await pause(ms)
      if (name.startsWith('fail')) throw new Error(`${name} failed`)
      seen.push(`${name} ended`)
    },
  })
  return { seen, task }
}

test('tasks run one after the other', async () => {
  const { seen, task } = recorder()
  await runPipeline([task('a', 10), task('b')])
  assert.equal(seen, ['a began', 'a ended', 'b began', 'b ended'])
})

test('a group runs its tasks side by side, and the next task waits for all of them', async () => {
  const { seen, task } = recorder()
  await runPipeline([concurrently('both', [task('a', 20), task('b', 10)]), task('c')])
  const ends = seen.slice(2, 4).toSorted()
  assert.equal([...seen.slice(0, 2), ...ends], ['a began', 'b began', 'a ended', 'b ended'])
  assert.equal(seen.slice(4), ['c began', 'c ended'])
})

test('after a failure nothing more starts, and the failure is thrown as it was', async () => {
  const { seen, task } = recorder()
  const failure = await runPipeline([task('a'), task('fail'), task('never')]).catch((error: Error) => error)
  assert.is((failure as Error).message, 'fail failed')
  assert.equal(seen, ['a began', 'a ended', 'fail began'])
})

test('a failure in a group lets its siblings finish, and nothing after the group starts', async () => {
  const { seen, task } = recorder()
  const failure = await runPipeline([concurrently('both', [task('fail', 5), task('slow', 40)]), task('never')]).catch(
    (error: Error) => error,
  )
  assert.is((failure as Error).message, 'fail failed')
  assert.equal(seen, ['fail began', 'slow began', 'slow ended'])
})

test('of several failures in a group the first is thrown', async () => {
  const { task } = recorder()
  const failure = await runPipeline([concurrently('both', [task('fail late', 500), task('fail early', 5)])]).catch(
    (error: Error) => error,
  )
  assert.is((failure as Error).message, 'fail early failed')
})

test('each step that it comes to is told, the outermost first, with what it says of itself', async () => {
  const { task } = recorder()
  const told: string[] = []
  run().onStep = (steps) => void told.push(steps.join(' > '))
  const inner: Task = { title: 'inner', task: (_, wrapper) => void (wrapper.output = 'words') }
  await runPipeline([inOrder('outer', () => [inner]), task('next')]).finally(() => void (run().onStep = undefined))
  assert.equal(told, ['outer', 'outer > inner', 'outer > inner > words', 'outer', 'next'])
})

test('several failures of the world in a group are said together, the first as the error', async () => {
  const failing = (message: string, ms: number): Task => ({
    title: message,
    task: async () => {
      await pause(ms)
      throw new OperationError(message, { hint: `Mend ${message}` })
    },
  })
  const all = [failing('disk.', 20), failing('memory.', 5), failing('memory.', 10)]
  const failure = (await runPipeline([concurrently('all', all)]).catch((error: Error) => error)) as OperationError
  assert.is(failure.message, 'memory.')
  assert.equal(failure.more, { hint: 'Mend memory.', output: 'Also: disk. Mend disk.' })
})

test('a failure in an ordered list inside a group stops that list only, then the pipeline', async () => {
  const { seen, task } = recorder()
  const list = inOrder('list', () => [task('fail', 5), task('never in the list')])
  const failure = await runPipeline([
    concurrently('both', [list, inOrder('other', () => [task('x', 20), task('y')])]),
    task('never'),
  ]).catch((error: Error) => error)
  assert.is((failure as Error).message, 'fail failed')
  assert.equal(seen, ['fail began', 'x began', 'x ended', 'y began', 'y ended'])
})

test('a failure inside an ordered list of the pipeline itself starts nothing more', async () => {
  const { seen, task } = recorder()
  const failure = await runPipeline([
    inOrder('list', () => [task('fail'), task('never in the list')]),
    task('never'),
  ]).catch((error: Error) => error)
  assert.is((failure as Error).message, 'fail failed')
  assert.equal(seen, ['fail began'])
})

test('in plain lines a failure is told once, and a step that is left out is named', async () => {
  let said = ''
  const stdout = { write: (text: string | Uint8Array): boolean => Boolean((said += text.toString())) }
  const skipped: Task = { title: 'End it', skip: () => 'there is none', task: () => {} }
  const failing: Task = {
    title: 'inner',
    task: () => {
      throw new OperationError('It failed.')
    },
  }
  const nested = inOrder('outer', () => [skipped, inOrder('middle', () => [failing])])
  const one = new Run({ env: {}, stdout, stderr: stdout })
  await inRun(one, () => runPipeline([skipped, nested])).catch(() => undefined)
  assert.is(said.split('[FAILED] It failed.').length, 2, said)
  assert.is(said.split('[SKIPPED] End it: there is none').length, 3, said)
})

test('no task at all is fine', () => runPipeline([]))

test.run()

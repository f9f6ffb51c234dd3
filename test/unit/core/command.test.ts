// Hints name our scripts; pasted, they must be about the cluster that the run was about.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { command } from '../../../tasks/core/command.ts'
import { OperationError } from '../../../tasks/core/errors.ts'
import { presentError } from '../../../tasks/core/terminal.ts'

const test = suite('command')

test('a command names its cluster before its flags, but for the default one', () => {
  assert.is(command({ name: 'b' }, 'rotate-ca --back'), 'npx zx scripts/rotate-ca.ts --cluster b --back')
  assert.is(command({ name: 'etcd-cluster-1' }, 'up'), 'npx zx scripts/up.ts')
})

test('a hint of code that knows no cluster is about the cluster of the run', () => {
  const error = new OperationError('etcd was not found.', { hint: 'Get it', verb: 'doctor' })
  assert.match(presentError(error, false, 'prod2').text, 'Next: Get it: npx zx scripts/doctor.ts --cluster prod2')
  assert.match(presentError(error, false).text, /it: npx zx scripts\/doctor\.ts$/)
})

test.run()

// Why etcd does not stay up, out of a log that ends with a stack trace.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { python } from '../../support/python.ts'

const reasonIn = (...lines: string[]): string =>
  python('from ansible.module_utils.etcd_service import reason_in\nprint(reason_in(sys.argv[1]))', lines.join('\n'))

const trace = [
  'goroutine 1 [running]:',
  'go.uber.org/zap/zapcore.(*CheckedEntry).Write(0xc000000f00)',
  '\tzap@v1.17.0/entry.go:234 +0x2',
]
const info = '{"level":"info","ts":"2026-11-26T03:27:44Z","caller":"embed/etcd.go:424","msg":"closed etcd server"}'

test('the last line that says panic, fatal or error is the reason, without the trace that follows', () => {
  const panic =
    '{"level":"panic","ts":"2026-11-26T03:27:44Z","caller":"etcdserver/server.go:1","msg":"illegal ' +
    'v2store content","error":"detected disallowed custom content"}'
  assert.is(reasonIn(info, panic, ...trace), 'illegal v2store content; error: detected disallowed custom content')
  assert.is(
    reasonIn(panic, info, 'panic: unmarshal should never fail (proto: x)', '', ...trace),
    'panic: unmarshal should never fail (proto: x)',
  )
  const old = '2026-11-26 03:27:44.530898 C | etcdmain: error listing data dir'
  assert.is(reasonIn(info, old, ...trace), old)
})

test('an error of an earlier run is no reason: wrong flags, or the keeper that starts nothing, are', () => {
  const earlier = '{"level":"error","ts":"2026-11-26T03:27:43Z","caller":"a.go:1","msg":"serving failed"}'
  const begin = '{"level":"info","ts":"2026-11-26T03:27:44Z","caller":"b.go:1","msg":"Running: ","args":["etcd"]}'
  const flags =
    '{"level":"warn","ts":"2026-11-26T03:27:44Z","caller":"c.go:1","msg":"failed to verify flags","error":"x"}'
  assert.is(reasonIn(earlier, begin, flags), 'failed to verify flags; error: x')
  const keeper = '2026-11-26T03:27:44+0000 keeper: Not started: /d holds no data.'
  assert.is(reasonIn(begin, earlier, keeper), keeper)
})

test('where no line has such a level, the last three lines are shown', () => {
  assert.is(reasonIn(info, 'a', 'b', 'c'), 'a\nb\nc')
  assert.is(reasonIn(''), 'nothing')
})

test.run()

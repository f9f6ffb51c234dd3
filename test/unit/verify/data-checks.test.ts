// Authentication that keeps us out is named as that, by verify and by load, and not as a member that may answer soon.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isOff } from '../../../tasks/etcd/through-etcdctl.ts'
import { consistency, writes } from '../../../tasks/verify/data-checks.ts'
import type { Facts } from '../../../tasks/verify/facts.ts'
import { no, ok, statusWith } from '../../support/answers.ts'

/** Three members that answer each call of verify's proofs with this. */
const factsOf = (reason: string): Facts => {
  const of = (name: string) => ({
    host: { name },
    status: ok({ ...statusWith({}), isLearner: false }),
    health: ok({ tookMs: 1 }),
    write: no(reason),
    hash: no(reason),
  })
  return { hosts: ['master01', 'master02', 'master03'].map(of) } as never
}
const codes = (reason: string): string[] =>
  [writes, consistency].map((check) => {
    const found = check(factsOf(reason)).map(({ code }) => code)
    return found.join()
  })

test('without a right to write, authentication is what verify names, once; anything else is a call that fails', () => {
  for (const reason of ['etcdserver: permission denied', 'etcdserver: user name is empty'])
    assert.equal(codes(reason), ['auth-enabled', 'auth-enabled'])
  const fails = 'call-fails,call-fails,call-fails'
  assert.equal(codes('connection reset'), [fails, fails])
})

test('load goes through etcdctl where the JSON gateway is off, or lets no certificate in; else it does not', () => {
  const off = (message: string, status = 0): boolean => isOff(Object.assign(new Error(message), { status }))
  assert.equal([off('Not Found', 404), off('{"error":"etcdserver: user name is empty"}', 400)], [true, true])
  assert.equal([off('etcdserver: corrupt cluster', 503), off('connect ECONNREFUSED')], [false, false])
})

test.run()

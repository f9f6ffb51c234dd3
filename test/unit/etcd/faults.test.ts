// What a person is told of the version that runs, and which versions no cluster is brought to.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { faultOf, warningsOf } from '../../../tasks/etcd/faults.ts'

test('each faulty release is warned of with its cure, and a sound one is not', () => {
  for (const [version, ...patterns] of [
    ['3.4.23', /ended in June 2026.*Take 3\.5\.33/],
    ['3.5.2', /13766/, /GHSA-6vch-q96h-7gc3.*Take 3\.5\.33/],
    ['3.5.16', /20271/, /GHSA/],
    ['3.5.32', /GHSA/],
    ['3.6.4', /20271.*Take 3\.6\.14/, /GHSA.*Take 3\.6\.14/],
    ['3.7.0', /GHSA.*Take 3\.7\.1 or a later 3\.7\.$/],
    ['3.5.33'],
    ['3.6.14'],
    ['3.7.1'],
    ['3.7.3'],
  ] as [string, ...RegExp[]][]) {
    const warnings = warningsOf(version)
    assert.is(warnings.length, patterns.length, version)
    for (const [index, pattern] of patterns.entries()) assert.match(warnings[index] ?? '', pattern)
  }
})

test('only what can cost data keeps a cluster from a version', () => {
  for (const version of ['3.5.2', '3.5.3', '3.5.22', '3.6.4', '3.6.5']) assert.is.not(faultOf(version), '')
  for (const version of ['3.4.23', '3.5.23', '3.5.30', '3.6.6', '3.7.0']) assert.is(faultOf(version), '')
})

test.run()

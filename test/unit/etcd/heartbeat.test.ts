// What is advised where members are far from one another, by etcd's tuning guide.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { longestRoundTrip, ofHeartbeat } from '../../../tasks/etcd/heartbeat.ts'

const setting = (heartbeat: number, election: number): Record<string, string> => ({
  ETCD_HEARTBEAT_INTERVAL: String(heartbeat),
  ETCD_ELECTION_TIMEOUT: String(election),
})

/** Settings that are advised, as a person writes them. */
const due = (environment: Record<string, string>, roundTripMs: number): string[] =>
  ofHeartbeat(environment, roundTripMs).map((finding) => ('due' in finding ? String(finding.due) : ''))

test('members that are near need no other times', () => {
  for (const roundTrip of [0, 0.3, 50, 100]) assert.equal(due({}, roundTrip), [])
})

test('an election timeout of ten round trips is advised, and who has set it hears no more', () => {
  assert.equal(due({}, 203), ['ETCD_HEARTBEAT_INTERVAL: 250, ETCD_ELECTION_TIMEOUT: 2500'])
  assert.equal(due(setting(250, 2500), 203), [])
  assert.equal(due(setting(250, 2000), 203).length, 1)
  assert.equal(due(setting(100, 2500), 203).length, 1) // half a round trip and more
})

test('etcd takes no election timeout above 50 s', () => {
  assert.equal(due({}, 6000), ['ETCD_HEARTBEAT_INTERVAL: 6000, ETCD_ELECTION_TIMEOUT: 50000'])
  assert.equal(due(setting(6000, 50_000), 6000), [])
})

test("the round trip is the longest of a member's means to its peers; right after its start there is none", () => {
  const name = 'etcd_network_peer_round_trip_time_seconds'
  const lines = [
    `# TYPE ${name} histogram`,
    `${name}_bucket{To="a",le="0.1024"} 0`,
    `${name}_sum{To="a"} 0.4`,
    `${name}_count{To="a"} 4`,
    `${name}_sum{To="b"} 0.603`,
    `${name}_count{To="b"} 3`,
    `${name}_sum{To="c"} 0`,
    `${name}_count{To="c"} 0`,
  ]
  assert.is(Math.round(longestRoundTrip(lines.join('\n'))), 201)
  assert.is(longestRoundTrip('# nothing yet'), 0)
})

test.run()

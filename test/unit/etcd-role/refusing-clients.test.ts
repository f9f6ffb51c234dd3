// Which clients refused a member's certificate, by what etcd logs of failed handshakes.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { python } from '../../support/python.ts'

const since = Date.parse('2026-11-28T05:27:50Z') / 1000

const refusing = (...lines: string[]): unknown =>
  JSON.parse(
    python(
      'import json\nfrom ansible.module_utils.etcd_service import refusing_clients\n' +
        'print(json.dumps(refusing_clients(sys.argv[1], float(sys.argv[2]))))',
      lines.join('\n'),
      String(since),
    ),
  )

const rejected = (ts: string, from: string, error: string, msg = 'rejected connection on client endpoint'): string =>
  JSON.stringify({ level: 'warn', ts, caller: 'embed/config_logging.go:194', msg, 'remote-addr': from, error })

const [badCertificate, unreadable] = ['remote error: tls: bad certificate', 'local error: tls: bad record MAC']

test("counts by address what Go's and OpenSSL's clients cause, also as etcd 3.5 says it", () => {
  assert.equal(
    refusing(
      rejected('2026-11-28T05:27:54.541141Z', '10.0.0.7:49000', badCertificate),
      rejected('2026-11-28T05:27:55Z', '10.0.0.7:49012', unreadable),
      rejected('2026-11-28T06:27:55.123+0100', '[fd00::7]:49012', badCertificate, 'rejected connection'),
    ),
    { '10.0.0.7': 2, 'fd00::7': 1 },
  )
})

test('not what was before, what a peer or a client without a certificate caused, nor a line that is none', () => {
  assert.equal(
    refusing(
      rejected('2026-11-28T05:27:49.9Z', '10.0.0.7:49000', badCertificate),
      rejected('2026-11-28T05:27:54Z', '10.0.0.8:49000', badCertificate, 'rejected connection on peer endpoint'),
      rejected('2026-11-28T05:27:54Z', '10.0.0.9:49000', "tls: client didn't provide a certificate"),
      rejected('2026-11-28T05:27:54Z', '10.0.0.9:49000', 'EOF'),
      'rejected connection from "10.0.0.9:4" (error "remote error: tls: bad certificate", ServerName "")',
      rejected('yesterday', '10.0.0.9:49000', badCertificate),
    ),
    {},
  )
})

test.run()

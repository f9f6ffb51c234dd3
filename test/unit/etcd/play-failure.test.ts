// A play's failure as a sentence: what Ansible, ssh and sudo say of it, or the role by its codes, and what a person
// reads.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { OperationError } from '../../../tasks/core/errors.ts'
import type { PlayFailure, RoleFinding, Told } from '../../../tasks/etcd/play-events.ts'
import { isUntouched, onlyUnreached, playFailure } from '../../../tasks/etcd/play-failure.ts'
import { testCluster } from '../../support/cluster.ts'

const cluster = testCluster()
const judge = (failures: PlayFailure[], output = '', log?: string): OperationError =>
  playFailure(cluster, failures, output, log)

const unreachable = (said: string): PlayFailure => ({
  event: 'unreachable',
  host: 'master02',
  told: {
    msg: `Data could not be sent to remote host "10.0.0.12". Make sure this host can be reached over ssh: ${said}\r\n`,
  },
})
const failed = (told: Told, host = 'master02'): PlayFailure => ({ event: 'failed', host, told })
const reported = (finding: RoleFinding, host = 'master02'): PlayFailure => ({
  event: 'failed',
  host,
  finding,
  told: {},
})

const cases: { name: string; line: PlayFailure; message: string | RegExp; hint: RegExp }[] = [
  {
    name: 'a host that is off',
    line: unreachable('ssh: connect to host 10.0.0.12 port 22: No route to host'),
    message: 'master02: it cannot be reached at 10.0.0.12 (No route to host).',
    hint: /Start the host/,
  },
  {
    name: 'no sshd',
    line: unreachable('ssh: connect to host 10.0.0.12 port 22: Connection refused'),
    message: 'master02: nothing answers SSH at 10.0.0.12 port 22.',
    hint: /sshd/,
  },
  {
    name: 'a wrong name',
    line: unreachable('ssh: Could not resolve hostname no.example: Name or service not known'),
    message: /nobody knows the name no\.example/,
    hint: /ssh\.host/,
  },
  {
    name: 'a wrong key',
    line: unreachable('core@10.0.0.12: Permission denied (publickey).'),
    message: 'master02: SSH does not let the user core in.',
    hint: /ssh\.identityFile/,
  },
  {
    name: 'a key that is not there, before the denial that follows',
    line: unreachable(
      'no such identity: /k/id: No such file or directory\r\ncore@10.0.0.12: Permission denied (publickey).',
    ),
    message: 'master02: the SSH key /k/id is not there.',
    hint: /identityFile/,
  },
  {
    name: 'an unknown host key',
    line: unreachable('Host key verification failed.'),
    message: /host key is not known here/,
    hint: /by hand/,
  },
  {
    name: 'a changed host key, before the verification that fails for it',
    line: unreachable('@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.'),
    message: /not the one that was known/,
    hint: /ssh-keygen -R/,
  },
  {
    name: 'no Python or sudo, heard before their words are',
    line: unreachable('[Errno 32] Broken pipe'),
    message: 'master02: what Ansible started there ended before it was told what to do.',
    hint: /sudo -n python3 --version/,
  },
  {
    name: 'a host lost in the middle',
    line: unreachable('Shared connection to 10.0.0.12 closed.'),
    message: /lost in the middle of the run/,
    hint: /run the same command again/,
  },
  {
    name: 'sudo with a password',
    line: failed({ msg: 'Missing sudo password' }),
    message: 'master02: sudo wants a password there.',
    hint: /NOPASSWD/,
  },
  {
    name: 'sudo that wants a terminal',
    line: failed({ msg: 'MODULE FAILURE', module_stderr: 'sudo: sorry, you must have a tty to run sudo\n' }),
    message: 'master02: sudo wants a terminal there (requiretty).',
    hint: /!requiretty.*ANSIBLE_PIPELINING=0/,
  },
  {
    name: 'a vault without its password',
    line: failed({ msg: 'Attempting to decrypt but no vault secrets found' }),
    message: 'master02: a variable is encrypted by ansible-vault, and its password is not known here.',
    hint: /ANSIBLE_VAULT_PASSWORD_FILE/,
  },
  {
    name: 'a vault with another password',
    line: failed({ msg: 'Decryption failed (no vault secrets were found that could decrypt)' }),
    message: /encrypted by ansible-vault/,
    hint: /ANSIBLE_VAULT_PASSWORD_FILE/,
  },
  {
    name: 'no sudo at all',
    line: failed({ msg: 'MODULE FAILURE', module_stderr: '/bin/sh: 1: sudo: not found\n' }),
    message: 'master02: there is no sudo.',
    hint: /connect as root/,
  },
  {
    name: 'no Python',
    line: failed({
      msg:
        'The module failed to execute correctly, you probably need to set the interpreter.\nSee ' +
        'stdout/stderr for the exact error',
      module_stderr: '/bin/sh: 1: /usr/bin/python: not found\n',
    }),
    message: 'master02: there is no Python.',
    hint: /apt-get install python3, not python3-minimal/,
  },
  {
    name: 'a full disk',
    line: failed({ msg: '/etc/ssl/etcd/.etcd-role-x: No space left on device' }),
    message: 'master02: its disk is full.',
    hint: /Free some space/,
  },
]

for (const { name, line, message, hint } of cases)
  test(`${name} is said in one sentence, with what helps`, () => {
    const error = judge([line])
    if (typeof message === 'string') assert.is(error.message, message)
    else assert.match(error.message, message)
    assert.match(error.more.hint ?? '', hint)
    assert.is(error.more.output, undefined)
  })

test(
  'a refusal has its code and, where a verb of ours helps, that verb; the host that it is ' +
    'reported for is not named',
  () => {
    const { message, more } = judge([
      {
        event: 'refused',
        findings: [
          {
            code: 'data-lost',
            host: 'master03',
            detail: 'master03 is a member, but has no data.',
            remedy: 'By hand: etcdctl member remove c.',
          },
        ],
      },
    ])
    assert.is(message, 'master03 is a member, but has no data.')
    assert.is(
      more.hint,
      'Replace master03: npx zx scripts/replace.ts --cluster test-cluster master03. By hand: etcdctl member remove c.',
    )
    assert.is(more.code, 'data-lost')
  },
)

test("a refusal that no verb of ours cures keeps the role's own remedy", () => {
  const finding = {
    code: 'remnants',
    host: 'master01',
    detail: 'A part lies in /d.',
    remedy: 'Move it aside: mv /d /e.',
  }
  assert.is(judge([{ event: 'refused', findings: [finding] }]).more.hint, 'Move it aside: mv /d /e.')
  const ofPlans = { code: 'no-heir', detail: 'Not restarted: it leads.', remedy: 'Run this again.' }
  assert.is(judge([reported(ofPlans)]).more.hint, 'Run this again.')
})

test('hosts that cannot carry etcd: the first in full, the others below it', () => {
  const findings = [
    { code: 'ports', host: 'master02', detail: 'master02: Port 2380 is taken by python3.', remedy: 'Stop it.' },
    { code: 'clock', host: 'master03', detail: 'master03: The clock is 30.0 s ahead.', remedy: 'Set it right.' },
  ]
  const { message, more } = judge([{ event: 'refused', findings }])
  assert.is(message, 'master02: Port 2380 is taken by python3.')
  assert.is(more.hint, 'Stop it.')
  assert.is(more.output, 'master03: The clock is 30.0 s ahead.')
})

test('what etcd said last is shown, whatever it speaks of; a full disk is named as the cause', () => {
  const ends = { code: 'ends', detail: 'etcd does not stay up here. The last it said:', remedy: 'Put it right.' }
  const { message, more } = judge([reported({ ...ends, output: 'dial tcp: connection refused\nfatal: timed out' })])
  assert.is(message, 'master02: etcd does not stay up here. The last it said:')
  assert.is(more.output, 'dial tcp: connection refused\nfatal: timed out')
  assert.match(more.hint ?? '', 'cluster.yaml')
  assert.is(
    judge([reported({ ...ends, output: 'write: no space left on device' })]).message,
    'master02: its disk is full.',
  )
})

test("a full disk is named as the cause in a module's own sentence, too", () => {
  const detail = "The data could not be copied: [Errno 28] No space left on device: '/var/lib/etcd/copy'"
  assert.is(judge([reported({ code: 'copy', detail })]).message, 'master02: its disk is full.')
})

test('several hosts with one failure are named together, with the log', () => {
  const failures = ['master01', 'master02', 'master02'].map((host) => failed({ msg: 'Missing sudo password' }, host))
  const { message, more } = judge(failures, '', '/log')
  assert.is(message, 'master01 and master02: sudo wants a password there.')
  assert.is(more.log, '/log')
})

test('another host that failed for a reason of its own is told of below', () => {
  const ends = { code: 'ends', detail: 'etcd does not stay up here. The last it said:', output: 'it cannot start' }
  const ill = {
    code: 'others-ill',
    detail: 'Not restarted: https://10.0.0.11:2379 is not healthy.',
    remedy: 'Make it healthy.',
  }
  const { message, more } = judge([reported(ends, 'master01'), reported(ill)])
  assert.is(message, 'master01: etcd does not stay up here. The last it said:')
  assert.match(
    more.output ?? '',
    /^it cannot start\nAlso: master02: Not restarted: .* is not healthy\. Make it healthy/,
  )
})

test("a command's own last words say more than its exit code", () => {
  const line = failed({
    msg: 'non-zero return code',
    stdout: 'sha256sum: 1 computed checksum did NOT match\r\n',
    stderr: 'Shared connection to 10.0.0.12 closed.\r\n',
  })
  assert.is(judge([line]).message, 'master02: sha256sum: 1 computed checksum did NOT match')
})

test('a vault that is met before any host is said to be one, too', () => {
  const { message, more } = judge([], 'ERROR! Attempting to decrypt but no vault secrets found')
  assert.match(message, 'encrypted by ansible-vault')
  assert.match(more.hint ?? '', 'ANSIBLE_VAULT_PASSWORD_FILE')
})

test('no failure of a host at all: Ansible itself is to blame, in its own words', () => {
  const { message, more } = judge([], 'ERROR! no such role')
  assert.match(message, 'before it reached a host')
  assert.is(more.output, 'ERROR! no such role')
})

test('a play that was refused, or did not reach a host, has changed nothing; one that failed may have', () => {
  const refused: PlayFailure = { event: 'refused', findings: [{ code: 'address', detail: 'x' }] }
  const none = { master01: 0, master02: 0 }
  assert.ok(isUntouched([refused, unreachable('x')], none))
  assert.not.ok(isUntouched([refused], { ...none, master02: 1 }))
  assert.not.ok(isUntouched([refused, failed({ msg: 'x' })], none))
  assert.not.ok(isUntouched([refused]), 'it was killed')
})

test('a play may go on without hosts that it did not reach: where it reached others, and nothing else failed', () => {
  const both = { master01: 0, master02: 0 }
  assert.equal(onlyUnreached([unreachable('x')], both), ['master02'])
  assert.equal(onlyUnreached([unreachable('x')], { master02: 0 }), [], 'it reached nobody')
  assert.equal(onlyUnreached([unreachable('x'), failed({ msg: 'x' }, 'master01')], both), [])
  assert.equal(onlyUnreached([unreachable('x')]), [], 'it was killed')
})

test.run()

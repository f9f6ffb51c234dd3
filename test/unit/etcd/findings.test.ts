// The table of findings: every remedy can be followed, and its page in docs/ is of today.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../../tasks/core/cluster.ts'
import { clusterFlags, parseCommandLine } from '../../../tasks/core/flags.ts'
import type { Action } from '../../../tasks/core/remedy.ts'
import type { Verb } from '../../../tasks/core/script.ts'
import { adviceOf, halfDoneOf } from '../../../tasks/etcd/advice.ts'
import {
  type Code,
  type Finding,
  type Half,
  inRanking,
  inWords,
  refusal,
  remedyOf,
  rows,
  sentenceOf,
  waysOf,
} from '../../../tasks/etcd/findings.ts'
import { cluster, codes, page, said, sample, text } from '../../support/findings.ts'
import { temporaryFolder } from '../../support/folder.ts'

test('each sentence is a clause that ends without a full stop, and each code has a remedy', () => {
  for (const code of codes) {
    assert.match(sentenceOf(sample(code)), /[^.]$/, code)
    assert.match(remedyOf(cluster, sample(code)), /\w/, code)
    assert.not.match(`${sentenceOf(sample(code))} ${remedyOf(cluster, sample(code))}`, /undefined|NaN|\[object/, code)
  }
})

/** What a remedy may depend on besides its finding. */
const situations: [Cluster, half?: Half][] = [
  [cluster],
  [cluster, { replaced: ['HOST'] }],
  [cluster, { replaced: [], changing: true }],
  [cluster, { replaced: [], scaledTo: ['a', 'b', 'c'] }],
  [{ ...cluster, formed: false }],
  [{ ...cluster, own: { hosts: undefined, inventory: 'hosts.yml' } }],
  ...['3.7.1', '3.5.33'].map((upgradingTo): [Cluster] => [{ ...cluster, etcd: { ...cluster.etcd, upgradingTo } }]),
]

const noWords = { usage: '', least: 0, most: 0 }
const lineOf = (action: Action): string => ('verb' in action ? [action.verb, ...action.words].join(' ') : '')

const verbOf = async (name: string): Promise<Verb> =>
  ((await import(`../../../tasks/verbs/${name}.ts`)) as { verb: Verb }).verb

test('each remedy says what is to be done, and a verb that it names takes its words and flags', async () => {
  for (const code of codes)
    for (const [about, half] of situations) {
      if (code === 'move-begun' && !about.etcd.upgradingTo) continue
      const actions = waysOf(about, sample(code), half).flat()
      assert.ok(actions.length > 0, code)
      for (const action of actions)
        if ('verb' in action) {
          const verb = await verbOf(action.verb)
          const table = { ...verb.flags, ...clusterFlags }
          assert.not.throws(
            () => parseCommandLine(action.words, table, verb.words ?? noWords),
            `${code}: ${action.verb}`,
          )
        }
    }
})

test('the first in the ranking comes first, those of one code in the order in which they were found', () => {
  const found: Finding[] = [
    { code: 'no-space' },
    { code: 'member-missing', host: 'b' },
    { code: 'other-authority', host: 'c', port: 2379, is: 'CN=x' },
    { code: 'member-missing', host: 'a' },
  ]
  assert.equal(
    inRanking(found).map(({ code, host }) => `${code} ${host}`),
    ['other-authority c', 'member-missing b', 'member-missing a', 'no-space undefined'],
  )
})

test('a refusal has the code, what was said before, and the remedy', () => {
  const { message, more } = refusal(cluster, { code: 'member-missing', host: 'master02' }, 'Nothing was changed: ')
  assert.is(message, 'Nothing was changed: master02 is no member of the cluster.')
  assert.is(more.code, 'member-missing')
  assert.is(more.hint, 'Make master02 a member again: npx zx scripts/replace.ts master02')
})

test('what concerns the cluster as a whole is told in sentences', () => {
  assert.is(
    inWords(cluster, { code: 'half-replaced', hosts: ['master01', 'master02'] }),
    'The replacement of master01 and master02 is half done. ' +
      'Finish it: npx zx scripts/replace.ts master01 master02',
  )
})

test('while a replacement is half done, it is what helps; a restore that is half done is told of', () => {
  const state = temporaryFolder()
  writeFileSync(join(state, 'replacing.json'), '{ "master02": "a1", "gone-since": "a2" }')
  writeFileSync(join(state, 'scaling.json'), '["a", "b", "c", "master02", "master03"]')
  const [replacing, scaling] = ['replacing.json', 'scaling.json'].map((name) => join(state, name))
  const half = { ...cluster, paths: { ...cluster.paths, replacing: String(replacing), scaling: String(scaling) } }
  assert.match(
    adviceOf(half).join(),
    'Scaling to 5 members is half done. Finish it: npx zx scripts/scale.ts --masters 5',
  )
  assert.match(adviceOf(half).join(), 'The replacement of master02 is half done.')
  const down = (host: string): string =>
    remedyOf(half, { code: 'member-down', host, at: 'x', reason: 'connection refused' })
  assert.is(down('master02'), 'Finish its replacement: npx zx scripts/replace.ts master02')
  assert.is(down('master03'), 'Start master03: npx zx scripts/up.ts')
  assert.match(remedyOf(half, sample('members-differ')), 'scripts/replace.ts master02')
  const scale = 'Finish the scale: npx zx scripts/scale.ts --masters 5'
  assert.is(down('leaving'), scale)
  assert.is(remedyOf(half, { code: 'member-missing', host: 'leaving' }), scale)
  assert.is(remedyOf(half, { code: 'learner-left', host: 'a', id: 'a1' }), scale)
  const begun = { ...cluster, begun: { verb: 'restore' as const, file: 'kept.db' } }
  assert.match(adviceOf(begun).join(), 'A restore of etcd-cluster-1 is half done. Finish it: npx zx')
  const verbs = (of: Cluster): string[] => Object.entries(halfDoneOf(of)).flatMap(([verb, is]) => (is ? [verb] : []))
  assert.equal([verbs(half), verbs(begun)], [['replace', 'scale'], ['restore']])
  const moving = (upgradingTo: string): Cluster => ({ ...cluster, etcd: { ...cluster.etcd, upgradingTo } })
  assert.equal([verbs(moving('3.7.1')), verbs(moving('3.5.33'))], [['upgrade'], ['downgrade']])
  assert.is(Object.keys(halfDoneOf(cluster)).length, 9, 'each is told, be it half done or not')
})

test("the role's rows, and no others, are made of what the role says", () => {
  const marked = Object.entries<{ ofRole?: boolean }>(rows).filter(([, { ofRole }]) => ofRole)
  assert.equal(
    marked.map(([code]) => code),
    codes.filter((code) => said[code]),
  )
})

test('a verb that is to finish what is half done begins while it is', async () => {
  for (const verb of ['restore', 'recover'] as const) {
    const [[action] = []] = waysOf({ ...cluster, begun: { verb } }, { code: 'half-restored', what: verb, name: 'x' })
    assert.ok(action && 'verb' in action && action.verb === verb && (await verbOf(verb)).evenHalfDone)
  }
})

test('an adoption goes on with the members that are left, then with what is left', () => {
  const helps = (taken?: boolean): string =>
    remedyOf({ ...cluster, begun: { verb: 'adopt', taken } }, { code: 'half-restored', what: 'adopt', name: 'x' })
  assert.is(helps(), 'Finish it: npx zx scripts/adopt.ts')
  assert.is(helps(true), 'Once clients trust its ca.crt, finish it: npx zx scripts/adopt.ts --finish')
})

test('while a restore or a recover is half done, nothing that refuses until then is named', () => {
  for (const verb of ['restore', 'recover'] as const) {
    const half = { ...cluster, begun: { verb } }
    const remedy = (code: Code): string => remedyOf(half, sample(code))
    const finish = `Finish it: npx zx scripts/${verb}.ts${verb === 'restore' ? ' FILE' : ''}`
    for (const code of ['member-down', 'no-space', 'data-lost', 'certificate-due'] as const)
      assert.is(remedy(code), finish, code)
    assert.match(remedy('no-leader'), 'verify')
    assert.match(remedy('no-authority-key'), 'Put the key back')
    assert.match(remedy('all-data-lost'), 'restore a backup')
  }
})

test('a key that nobody can open is left as a lost one is, and while rotate-ca may not go on, set aside before', () => {
  const closed = { code: 'authority-key-closed', reason: '', lost: 'no-authority-key' } as const
  assert.match(remedyOf(cluster, closed), /If nobody knows it: make a new authority: npx zx scripts\/rotate-ca\.ts$/)
  const half: Cluster = { ...cluster, begun: { verb: 'recover' } }
  assert.match(remedyOf(half, closed), 'If nobody knows it, move the key aside')
  assert.match(
    remedyOf(half, closed),
    /Then go on, and a new authority is made\. Finish it: npx zx scripts\/recover\.ts$/,
  )
  assert.not.match(remedyOf(half, closed), 'rotate-ca')
  assert.not.match(remedyOf(half, { code: 'no-next-authority-key', at: '', reason: '' }), 'rotate-ca')
})

test('without its authority an adoption is taken back, or stays as it is: it makes no other authority', () => {
  const adopting = temporaryFolder()
  const helps = (code: 'no-authority-key' | 'authority-key-closed', path: string, joining?: number): string =>
    remedyOf(
      { ...cluster, begun: { verb: 'adopt', joining }, paths: { ...cluster.paths, adopting: path } },
      sample(code),
    )
  for (const code of ['no-authority-key', 'authority-key-closed'] as const) {
    assert.match(helps(code, adopting), /: take the adoption back: npx zx scripts\/adopt\.ts --back, then move certs/)
    assert.match(helps(code, adopting, 3), ': the adoption cannot be finished')
    assert.match(helps(code, join(adopting, 'gone')), ': the adoption cannot be finished')
  }
})

test('local hosts have no systemd: there up starts all', () => {
  const remedy = (provider: 'local' | 'ssh'): string => remedyOf({ ...cluster, provider }, sample('others-silent'))
  assert.match(remedy('ssh'), 'systemctl start etcd-member')
  assert.not.match(remedy('local'), 'systemctl')
})

test('a verb that is said to cure something is named by a remedy', () => {
  const cures = Object.values<{ curedBy?: string[] }>(rows).flatMap(({ curedBy = [] }) => curedBy)
  const named = codes.flatMap((code) => waysOf(cluster, sample(code)).flat().map(lineOf))
  for (const verb of new Set(cures))
    assert.ok(
      named.some((line) => `${line} `.startsWith(`${verb} `)),
      verb,
    )
})

test('of a replacement that was cut short all hosts are named', () => {
  const down = { code: 'member-down', host: 'a', at: 'a:2379', reason: 'x' } as const
  assert.equal(waysOf(cluster, down, { replaced: ['a', 'b'] }), [[{ verb: 'replace', words: ['a', 'b'] }]])
})

test('docs/findings.md says what the table says', () => assert.fixture(readFileSync(page, 'utf8'), text))

test.run()

// Mistakes in rules, a line each, and the tests that must find them.

export interface Mistake {
  file: string
  line: string
  wrong: string
  /** Which tests hold the rule, as arguments of the runner. */
  tests: string[]
}

export const mistakes: Mistake[] = [
  {
    file: 'tasks/etcd/membership.ts',
    line: 'Math.floor(members / 2) + 1',
    wrong: 'Math.ceil(members / 2)',
    tests: ['unit/etcd/membership'],
  },
  {
    file: 'tasks/etcd/membership.ts',
    line: 'strict ? voters : quorum(voters + 1)',
    wrong: 'strict ? quorum(voters + 1) : voters',
    tests: ['unit/etcd/membership'],
  },
  {
    file: 'tasks/plans/members.ts',
    line: '  return well >= needed ? undefined',
    wrong: '  return well > 0 ? undefined',
    tests: ['unit/plans'],
  },
  {
    file: 'tasks/plans/members.ts',
    line: '    () => (learns ? undefined : addable(seen, [host])),',
    wrong: '    () => undefined,',
    tests: ['unit/plans'],
  },
  {
    file: 'tasks/plans/members.ts',
    line: '    () => (member ? leadElsewhere(seen, leaving) : undefined),',
    wrong: '    () => undefined,',
    tests: ['unit/plans'],
  },
  {
    file: 'tasks/plans/replace.ts',
    line: 'old: start.replacing[host] ?? oldOf(start, host)',
    wrong: 'old: oldOf(start, host)',
    tests: ['unit/plans'],
  },
  {
    file: 'tasks/plans/members.ts',
    line: '?.answer?.version === older) ? older : newer',
    wrong: '?.answer?.version === older) ? older : version',
    tests: ['unit/plans/move'],
  },
  {
    file: 'tasks/plans/scale.ts',
    line: 'Number(votes(seen, a)) - Number(votes(seen, b))',
    wrong: 'Number(votes(seen, b)) - Number(votes(seen, a))',
    tests: ['unit/plans'],
  },
  {
    file: 'tasks/operations/carry-out.ts',
    line: 'if (last && titleOf(last) === titleOf(act)) throw',
    wrong: 'if (last === undefined && act === undefined) throw',
    tests: ['unit/operations/carry-out'],
  },
  {
    file: 'tasks/etcd/judge.ts',
    line: '    if (corrupt.length > 0) return corrupt\n',
    wrong: '',
    tests: ['unit/etcd/judge'],
  },
  {
    file: 'tasks/operations/guard.ts',
    line: '(isAbout && !ofAnyHost.includes(code))',
    wrong: 'isAbout',
    tests: ['unit/operations/guard'],
  },
  {
    file: 'tasks/operations/choose-survivor.ts',
    line: 'b.commit - a.commit || b.last - a.last',
    wrong: 'b.last - a.last || b.commit - a.commit',
    tests: ['unit/operations'],
  },
  {
    file: 'tasks/operations/choose-survivor.ts',
    line: '!insist && withData.length >= quorum(there.length)',
    wrong: '!insist && withData.length > quorum(there.length)',
    tests: ['unit/operations'],
  },
  {
    file: 'tasks/plans/members.ts',
    line: '.toSorted((a, b) => rank(a) - rank(b)).map((goal)',
    wrong: '.map((goal)',
    tests: ['unit/plans/explore'],
  },
  {
    file: 'tasks/etcd/findings.ts',
    line: 'if (half.replaced.includes(host)) return remedy',
    wrong: 'if (half.replaced.includes(host) && half.replaced.length < 2) return remedy',
    tests: ['unit/plans/explore'],
  },
  {
    file: 'templates/ansible/roles/etcd/filter_plugins/etcd_plan.py',
    line: '_lost_member(looks, peer_urls, members) or _other_members(peer_urls, members)',
    wrong: '_other_members(peer_urls, members)',
    tests: ['unit/etcd-role/plan'],
  },
  {
    file: 'tasks/etcd/findings.ts',
    line: "ours('pki', '--from-hosts')",
    wrong: "ours('pki', '--from-host')",
    tests: ['unit/etcd/findings'],
  },
  {
    file: 'tasks/operations/revision.ts',
    line: 'Math.max(highest, snapshot) + margin',
    wrong: 'snapshot + margin',
    tests: ['unit/operations'],
  },
  {
    file: 'tasks/acts/backup-store.ts',
    line: 'backup !== made && newestOf.get(lifeOf(backup)) !== backup',
    wrong: 'newestOf.get(lifeOf(backup)) !== backup',
    tests: ['unit/acts'],
  },
  {
    file: 'tasks/etcd/upgrade-path.ts',
    line: 'return toMinor > minor + 1 ?',
    wrong: 'return toMinor > minor + 2 ?',
    tests: ['unit/etcd/'],
  },
  {
    file: 'tasks/etcd/upgrade-path.ts',
    line: 'if (toMinor < minor && minor < 6)',
    wrong: 'if (toMinor < minor && minor < 5)',
    tests: ['unit/etcd/'],
  },
  {
    file: 'tasks/etcd/settings.ts',
    line: 'compareVersions(version, since) >= 0 && pattern',
    wrong: 'compareVersions(version, since) > 0 && pattern',
    tests: ['unit/etcd/'],
  },
  {
    file: 'tasks/etcd/clocks.ts',
    line: 'off.length * 2 <= readings.length',
    wrong: 'off.length * 2 < readings.length',
    tests: ['unit/etcd/clocks'],
  },
  {
    file: 'tasks/etcd/certificates.ts',
    line: '  if (!isSignedBy(certificate, authority)) return "not signed by the cluster\'s authority"\n',
    wrong: '',
    tests: ['unit/etcd/certificates', 'unit/pki'],
  },
  {
    file: 'tasks/etcd/certificates.ts',
    line: 'certificate.checkIssued(authority) && certificate.verify(authority.publicKey)',
    wrong: 'certificate.checkIssued(authority)',
    tests: ['unit/etcd/certificates', 'unit/pki', 'unit/core/x509'],
  },
  {
    file: 'tasks/core/lock.ts',
    line: 'if ((await birthOf(pid)) !== birth) return\n  // Who kills npx',
    wrong: 'if (!(await birthOf(pid))) return\n  // Who kills npx',
    tests: ['unit/core/lock'],
  },
  {
    file: 'templates/ansible/roles/etcd/filter_plugins/etcd_plan.py',
    line: 'looks[host].get("healthy", True), looks[host].get("leader", False)',
    wrong: 'looks[host].get("leader", False), looks[host].get("healthy", True)',
    tests: ['unit/etcd-role/plan'],
  },
  {
    file: 'templates/ansible/roles/etcd/filter_plugins/etcd_plan.py',
    line: 'if members is not None and set(members) != set(peer_urls.values()):',
    wrong: 'if members is not None and not set(members) >= set(peer_urls.values()):',
    tests: ['unit/etcd-role/plan'],
  },
  {
    file: 'templates/ansible/roles/etcd/filter_plugins/etcd_plan.py',
    line: 'if len(kept) > len(peer_urls) // 2 else []',
    wrong: 'if kept else []',
    tests: ['unit/etcd-role/plan'],
  },
  {
    file: 'tasks/plans/effects.ts',
    line: 'withMembers(host === undefined ? seen : withoutLead(seen, host), rest)',
    wrong: 'withMembers(seen, rest)',
    tests: ['unit/plans/effects'],
  },
]

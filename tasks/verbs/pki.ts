import { refuseHalfDone } from '../core/cluster.ts'
import { fetchCertificates, fetchTasks } from '../operations/fetch-certificates.ts'
import { phaseVerb } from '../phases.ts'

export const verb = phaseVerb('pki', {
  flags: { 'from-hosts': { summary: 'take back from the hosts first what certs/ has lost' } },
  help: `--from-hosts is for a certs/<cluster>/ that is lost: the hosts have everything but
the authority's key. Then rotate-ca brings a new authority in.`,
  // what a recover or restore that is half done needs to go on
  evenHalfDone: true,
  first: (cluster, flags) => {
    if (cluster.begun?.verb === 'adopt') refuseHalfDone(cluster)
    return {
      tasks: flags['from-hosts'] ? fetchTasks(cluster) : [],
      plan: async () =>
        flags['from-hosts'] ? (await fetchCertificates(cluster)).map((path) => `take ${path} back from the hosts`) : [],
    }
  },
})

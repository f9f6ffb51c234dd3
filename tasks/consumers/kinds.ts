// What each kind of consumer gets: its own piece of configuration, and what it must do once something of that changes.
import { stringify } from 'yaml'
import type { Cluster } from '../core/cluster.ts'
import { listed } from '../core/terminal.ts'
import { etcdctlVariables, exportLines } from '../etcd/client-environment.ts'
import { alertRules, scrapeConfig, targets } from '../monitoring/index.ts'

/** What a configuration is made of. The paths are those that the consumer will open. */
export interface View {
  cluster: Cluster
  endpoints: string[]
  ca: string
  certificate: string
  key: string
}

/** `data`: the cluster's keys are those of an earlier time. `metrics`: members are scraped at another port or way. */
export type Change = 'endpoints' | 'authority' | 'certificate' | 'metrics' | 'data'

export interface Kind {
  summary: string
  /** Its configuration, by file name. Nothing in it is secret. */
  files: (view: View) => Record<string, string>
  /** What it must do once that has changed. What is not here it notices by itself. */
  needs: Partial<Record<Change, string>>
  /** The keys that it uses begin so; none: any. */
  prefixes?: string[]
  /** It compacts the history, which etcd lets the role root alone do (its advisory GHSA-q8m4-xhhv-38mg). */
  compacts?: true
  /** It speaks to etcd's JSON gateway, which passes no certificate's name on: etcd's authentication refuses it. */
  nameless?: true
  /** What a person should know besides. */
  notes?: string[]
}

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`
const yaml = (value: object): string => stringify(value, { lineWidth: 0 })

/**
 * kube-apiserver reads its client certificate at each connection, the authority only at its start, and keeps a copy of
 * what it has read (k8s.io/apiserver, storage/storagebackend/factory/etcd3.go; client/pkg/transport of etcd).
 */
const kubernetes: Kind = {
  summary: "kubeadm's etcd.external, and kube-apiserver's flags",
  files: ({ endpoints, ca, certificate, key }) => ({
    'kubeadm-etcd.yaml': yaml({
      apiVersion: 'kubeadm.k8s.io/v1beta4',
      kind: 'ClusterConfiguration',
      etcd: { external: { endpoints, caFile: ca, certFile: certificate, keyFile: key } },
    }),
    'kube-apiserver.flags':
      `--etcd-servers=${endpoints.join(',')}\n--etcd-cafile=${ca}\n` +
      `--etcd-certfile=${certificate}\n--etcd-keyfile=${key}\n`,
  }),
  needs: {
    endpoints: 'give each kube-apiserver the new --etcd-servers, one after the other',
    authority: 'restart each kube-apiserver, one after the other: it reads the authority only at its start',
    data: 'stop each kube-apiserver before, and start it after',
  },
  compacts: true,
  notes: [
    'kube-apiserver compacts the history itself (--etcd-compaction-interval, 5 minutes): leave ' +
      'etcd.environment without ETCD_AUTO_COMPACTION_*.',
    "etcd's quota is 2 GiB; for Kubernetes set ETCD_QUOTA_BACKEND_BYTES: 8589934592 (8 GiB) in etcd.environment.",
  ],
}

/** Patroni opens the files at each new connection, and asks the members who else there is (patroni/dcs/etcd.py). */
const patroni: Kind = {
  summary: "Patroni's section etcd3",
  files: ({ endpoints, ca, certificate, key }) => ({
    'patroni-etcd3.yaml': yaml({
      etcd3: {
        hosts: endpoints.map((url) => url.replace('https://', '')),
        protocol: 'https',
        cacert: ca,
        cert: certificate,
        key,
      },
    }),
  }),
  needs: {
    endpoints: 'put the new hosts into its configuration before its next start; until then it asks the members',
  },
  nameless: true,
}

/** It opens the files of tls_config at each new connection, and follows the file of its targets. */
const prometheus: Kind = {
  summary: 'a scrape configuration, its targets in a file, and alert rules',
  files: ({ cluster, ca, certificate: cert, key }) => {
    const list = ca.replace(/[^/]*$/, 'prometheus-targets.json')
    return {
      'prometheus-scrape.yaml': yaml({ scrape_configs: [scrapeConfig(cluster, { ca, cert, key, targets: list })] }),
      'prometheus-targets.json': json(targets(cluster)),
      'prometheus-rules.yaml': yaml(alertRules()),
    }
  },
  needs: {
    metrics: 'reload it; before 2.43, first put the entry of prometheus-scrape.yaml into its configuration again',
  },
  notes: ['The dashboard for Grafana, and metrics of our own that some alerts need: docs/monitoring.md.'],
}

/** By an address it finds no certificate's name: it is told one that every member's certificate has. */
const apisix: Kind = {
  summary: 'the section deployment.etcd of its config.yaml',
  files: ({ endpoints, ca, certificate, key }) => ({
    'apisix-etcd.yaml': yaml({
      apisix: { ssl: { ssl_trusted_certificate: ca } },
      deployment: {
        etcd: {
          host: endpoints,
          prefix: '/apisix',
          timeout: 30,
          tls: { cert: certificate, key, verify: true, sni: 'localhost' },
        },
      },
    }),
  }),
  needs: {
    endpoints: 'give it the new hosts, and run apisix reload',
    authority: 'run apisix reload',
    certificate: 'run apisix reload',
  },
  nameless: true,
}

const vault: Kind = {
  summary: "Vault's storage stanza etcd (OpenBao has no such storage)",
  files: ({ endpoints, ca, certificate, key }) => ({
    'vault-storage.hcl': [
      'storage "etcd" {',
      `  address       = "${endpoints.join(',')}"`,
      '  etcd_api      = "v3"',
      '  ha_enabled    = "true"',
      '  path          = "vault/"',
      `  tls_ca_file   = "${ca}"`,
      `  tls_cert_file = "${certificate}"`,
      `  tls_key_file  = "${key}"`,
      '}\n',
    ].join('\n'),
  }),
  needs: {
    endpoints: 'give each server the new address, and restart it',
    authority: 'restart each server, one after the other',
    certificate: 'restart each server, one after the other',
    data: 'stop each server before, and start it after',
  },
  prefixes: ['vault/'],
}

const readAgain = { endpoints: 'have whoever reads its file read it again' }

export const kinds: Record<string, Kind> = {
  kubernetes,
  patroni,
  prometheus,
  apisix,
  vault,
  shell: {
    summary: 'the ETCDCTL_* exports',
    files: (view) => ({ 'etcd.sh': `${exportLines(etcdctlVariables(view)).join('\n')}\n` }),
    needs: readAgain,
  },
  dotenv: {
    summary: 'the same as NAME=VALUE',
    files: (view) => ({
      'etcd.env': Object.entries(etcdctlVariables(view))
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    }),
    needs: readAgain,
  },
  json: {
    summary: 'endpoints and paths as JSON',
    files: ({ cluster, endpoints, ca, certificate, key }) => ({
      'etcd.json': json({ cluster: cluster.name, endpoints, ca, certificate, key }),
    }),
    needs: readAgain,
  },
}

/** What a consumer must do, as a clause with its name; undefined where it must do nothing. */
export function duty({ name, kind }: { name: string; kind: string }, changes: Change[]): string | undefined {
  const needs = changes.flatMap((change) => kinds[kind]?.needs[change] ?? [])
  return needs.length > 0 ? `${name}: ${listed([...new Set(needs)])}` : undefined
}

// For which machines etcd's programs are made: architectures by the names of Go, Node, uname and ELF files.

/** By Go's name: Node's name, what uname calls it, and e_machine of its ELF files (elf.h). */
const table = {
  amd64: { node: 'x64', uname: 'x86_64', elf: 62 },
  arm64: { node: 'arm64', uname: 'aarch64', elf: 183 },
  ppc64le: { node: 'ppc64', uname: 'ppc64le', elf: 21 },
  s390x: { node: 's390x', uname: 's390x', elf: 22 },
  riscv64: { node: 'riscv64', uname: 'riscv64', elf: 243 },
} as const

export type Architecture = keyof typeof table

export interface Machine {
  system: 'linux' | 'darwin'
  architecture: Architecture
}

const rows = Object.entries(table) as [Architecture, (typeof table)[Architecture]][]

export const architectures = Object.keys(table) as Architecture[]

/** What uname calls the machine: what Ansible's role goes by. */
export const unameOf = (architecture: Architecture): string => table[architecture].uname

/** The architecture that uname calls so; undefined for one that etcd is not made for. */
export const byUname = (uname: string): Architecture | undefined => rows.find(([, row]) => row.uname === uname)?.[0]

export const byElf = (number: number): Architecture | undefined => rows.find(([, row]) => row.elf === number)?.[0]

/** This machine's architecture; amd64 where etcd is not made for it: then its programs say that they do not run. */
export const architectureHere = (): Architecture => rows.find(([, row]) => row.node === process.arch)?.[0] ?? 'amd64'

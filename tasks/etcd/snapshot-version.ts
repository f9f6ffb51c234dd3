// Of which etcd a snapshot is, read from the database itself: no tool of every version tells it.
import { type FileHandle, open } from 'node:fs/promises'

/** A page's kinds (bbolt's page.go), and the flag of a leaf's element that is a bucket. */
const branch = 1
const leaf = 2
const bucketFlag = 1
const magic = 0xed0cdaed
const headerBytes = 16

/** Reads the page of an id. */
type Read = (id: bigint) => Promise<Buffer>

/**
 * The version that a database is written for, as in 3.6.0; its minor version and the next can read it. From 3.6 on etcd
 * notes it (the storage version); before, it is the cluster version, which has the minor version of the members. While
 * a downgrade is enabled it is the older one: what members run does not matter.
 * @returns undefined where it does not say, or the file is no such database
 */
export async function storageVersionOf(file: string): Promise<string | undefined> {
  const handle = await open(file)
  try {
    const metas = await Promise.all([0, 1].map((index) => readMeta(handle, index)))
    const [newest] = metas
      .filter((meta) => meta !== undefined)
      .toSorted((a, b) => Number(b.transaction - a.transaction))
    if (!newest) return undefined
    const read: Read = (id) => readPage(handle, newest.pageSize, id)
    const root = await read(newest.root)
    return (await versionIn(read, root, 'meta', 'storageVersion')) ?? versionIn(read, root, 'cluster', 'clusterVersion')
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  } finally {
    await handle.close()
  }
}

/** Whether the file begins as a database of bbolt does. */
export async function isDatabase(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    return (await readMeta(handle, 0)) !== undefined
  } finally {
    await handle.close()
  }
}

/** The version that a key of a bucket holds. */
async function versionIn(read: Read, root: Buffer, bucket: string, key: string): Promise<string | undefined> {
  const found = await find(read, root, bucket)
  if (!found?.isBucket) return undefined
  const page = found.value.readBigUInt64LE(0)
  const inBucket = page === 0n ? found.value.subarray(16) : await read(page) // a small bucket lies in its parent's page
  return /^\d+\.\d+\.\d+/.exec((await find(read, inBucket, key))?.value.toString() ?? '')?.[0]
}

/** The first two pages are metas, the later one counts; the page size of its maker says where the second lies. */
async function readMeta(
  handle: FileHandle,
  index: number,
): Promise<{ pageSize: number; root: bigint; transaction: bigint } | undefined> {
  for (const at of index === 0 ? [0] : [4096, 8192, 16384, 65536]) {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headerBytes + 64), 0, headerBytes + 64, at)
    if (bytesRead < headerBytes + 64 || buffer.readUInt32LE(headerBytes) !== magic) continue
    const meta = buffer.subarray(headerBytes)
    return { pageSize: meta.readUInt32LE(8), root: meta.readBigUInt64LE(16), transaction: meta.readBigUInt64LE(48) }
  }
  return undefined
}

/** A page with those that it overflows into. */
async function readPage(handle: FileHandle, pageSize: number, id: bigint): Promise<Buffer> {
  const at = Number(id) * pageSize
  const { buffer: header } = await handle.read(Buffer.alloc(headerBytes), 0, headerBytes, at)
  const length = (header.readUInt32LE(12) + 1) * pageSize
  return (await handle.read(Buffer.alloc(length), 0, length, at)).buffer
}

/** Follows a key down from a page. */
async function find(read: Read, page: Buffer, key: string): Promise<{ value: Buffer; isBucket: boolean } | undefined> {
  const [kind, count] = [page.readUInt16LE(8), page.readUInt16LE(10)]
  const elements = Array.from({ length: count }, (_, index) => headerBytes + index * 16)
  const wanted = Buffer.from(key)
  if (kind === leaf) {
    for (const at of elements) {
      const start = at + page.readUInt32LE(at + 4)
      const [keySize, valueSize] = [page.readUInt32LE(at + 8), page.readUInt32LE(at + 12)]
      if (wanted.equals(page.subarray(start, start + keySize)))
        return {
          value: page.subarray(start + keySize, start + keySize + valueSize),
          isBucket: page.readUInt32LE(at) === bucketFlag,
        }
    }
    return undefined
  }
  if (kind !== branch) return undefined
  const below = elements.filter((at) => {
    const start = at + page.readUInt32LE(at)
    return wanted.compare(page.subarray(start, start + page.readUInt32LE(at + 4))) >= 0
  })
  const next = below.at(-1)
  return next === undefined ? undefined : find(read, await read(page.readBigUInt64LE(next + 8)), key)
}

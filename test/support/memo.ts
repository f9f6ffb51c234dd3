/** Keeps what was found last. What was not asked for in a long time is forgotten. */
export function memo<T>(most: number): { get: (key: string) => T | undefined; set: (key: string, value: T) => void } {
  let [young, old] = [new Map<string, T>(), new Map<string, T>()]
  const set = (key: string, value: T): void => {
    young.set(key, value)
    if (young.size >= most) [young, old] = [new Map(), young]
  }
  const get = (key: string): T | undefined => {
    const found = young.get(key) ?? old.get(key)
    if (found !== undefined && !young.has(key)) set(key, found)
    return found
  }
  return { get, set }
}

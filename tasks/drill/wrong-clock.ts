// A host's clock that is off for a while. It is set right by the time that has passed since, as the kernel counts it.
// A host that has rebooted since has its time from its hardware.
import { readFileIfThere } from '../core/files.ts'

/** How far the clock is set ahead, s: less than what makes certificates end, or a day's work begin. */
export const aheadSeconds = 600

const bootId = '/proc/sys/kernel/random/boot_id'

/** Prints the time in s since 1970, the host's uptime in s, and which start of it this is. */
export const lookAtClock = `echo "$(date +%s.%N) $(cut -d ' ' -f 1 /proc/uptime) $(cat ${bootId})"`

/** What a look at the clock printed is what the undo goes by. Nothing is set where the clock was put right already. */
export function clockAhead(look: string): { script: string; undo: string } {
  const [time, uptime, boot] = look.trim().split(' ')
  const same = `[ "$(cat ${bootId})" = ${boot} ]`
  const right = `r = t + $1 - u; if (n - r > ${aheadSeconds / 2}) printf "%.2f", r`
  const ifOff = `r=$(awk -v t=${time} -v u=${uptime} -v n="$(date +%s)" '{${right}}' /proc/uptime)`
  return {
    script: `${same} && date -s '+${aheadSeconds} seconds' >/dev/null`,
    undo: `${same} && ${ifOff} && [ -n "$r" ] && date -s "@$r" >/dev/null`,
  }
}

/** Succeeds on a host with a clock of its own: neither a container, nor this machine, nor a container on it. */
export const hasOwnClock = (): string =>
  `[ "$(cat ${bootId})" != ${readFileIfThere(bootId)?.trim() || 'none'} ] && ` +
  'command -v systemd-detect-virt >/dev/null && ! systemd-detect-virt --container --quiet'

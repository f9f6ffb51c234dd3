// What Vagrant's hosts need of this machine.
import type { Check } from '../core/check.ts'
import type { Cluster } from '../core/cluster.ts'
import { imageCheck } from './host-image.ts'

export const vagrantChecks = (cluster: Cluster): Check[] => (cluster.vagrant?.provider === 'docker' ? [imageCheck(cluster)] : [])

// How each act is carried out. Each may be asked for again: that it is done already is success.
import type { Cluster } from '../core/cluster.ts'
import type { Act } from '../plans/types.ts'
import type { Carriers, Say, Steps } from './carriers.ts'
import { membership } from './members.ts'
import { move } from './move.ts'
import { upkeep } from './upkeep.ts'

const carriers: Carriers = { ...membership, ...upkeep, ...move }

/** Carries an act out. @throws OperationError when it does not come about */
export const carryOutAct = (cluster: Cluster, act: Act, say: Say): Steps =>
  (carriers[act.do] as (cluster: Cluster, act: Act, say: Say) => Steps)(cluster, act, say)

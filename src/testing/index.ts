export { dpopClient, type DpopClient, type DpopClientOptions, type ProofOptions } from './dpop.js'
export { fakeClock, type FakeClock } from './fake-clock.js'
export { serve, type Served, type ServeOptions } from './serve.js'
export {
  storeContract,
  type ContractOptions,
  type ContractRunner,
  type ContractStore,
} from './store-contract.js'
export { localIssuer, type LocalIssuer, type LocalIssuerOptions, type MintOptions } from './tokens.js'

// A reply beside its promise: a row of the tour.

/** Verdicts that end a request. If there is none, the stage that the row is about is shown. */
const ENDINGS = ['refused', 'answered', 'failed']

/**
 * @param {import('./requests.js').TourRequest} request
 * @param {Awaited<ReturnType<Awaited<ReturnType<import('./probe.js').probe>>['send']>>} reply
 * @param {number} [sent] how many it took
 */
export function compared(
  { protection, shows, method = 'GET', path, ...promise },
  { trace, ...reply },
  sent = 1,
) {
  const decided =
    trace.find(({ verdict }) => ENDINGS.includes(verdict)) ??
    trace.find(({ stage }) => stage === promise.stage)
  return {
    protection,
    shows,
    request: `${method} ${path.replace(/(access_token|code|return_to)=.*/, '$1=...')}${sent > 1 ? ` x ${sent}` : ''}`,
    status: reply.status,
    stage: decided?.stage ?? '(nobody)',
    why: (decided?.verdict === 'shaped' ? decided.why : decided?.rule) ?? '',
    micros: trace.reduce((sum, { micros }) => sum + micros, 0),
    broken: [
      reply.status !== promise.status && `status ${promise.status}`,
      decided?.stage !== promise.stage && `decided by ${promise.stage}`,
      promise.rule !== undefined && decided?.rule !== promise.rule && `because of ${promise.rule}`,
      promise.reply !== undefined && !holds(promise.reply, reply) && `that the reply fits: ${promise.reply}`,
    ].filter(Boolean),
  }
}

/** A reply without the member that is looked at breaks the promise as well. */
function holds(promise, reply) {
  try {
    return promise(reply)
  } catch {
    return false
  }
}

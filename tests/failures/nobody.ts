/** A user to whom nothing belongs, and whom permissions and limits bind. Only root can become it. */
export const NOBODY = 65534;

/** What `setpriv` takes to run the command behind it as that user. */
export const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];

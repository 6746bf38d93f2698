/** Resolves once `condition` holds; fails if it has not after `withinMs`. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  { withinMs = 60_000 } = {},
): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!await condition()) {
    if (performance.now() > giveUpAt) throw new Error(`Waited in vain: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

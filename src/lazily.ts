/**
 * Loads a file of this program when it is first asked for; `path` is seen from `base`, the URL of whoever
 * asks. A plain `import()` would not do: the runtime reads whatever one names before it starts, and each
 * file costs every start 0.1 to 0.2 ms. What could not be loaded is tried again by the next call.
 */
export function lazily<Module>(path: string, base: string): () => Promise<Module> {
  let loading: Promise<Module> | undefined;
  return () =>
    loading ??= import(new URL(path, base).href).catch((error) => {
      loading = undefined;
      throw error;
    });
}

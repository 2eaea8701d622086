// A typed event source for the core. It promises that each listener is called
// in the order of its coming, and that one that throws does not stop others.
// Owned by whoever extends it; web components translate to DOM events.

/** Emitter tells listeners of events whose names and details M lists. */
export class Emitter<M extends object> {
  #listeners = new Map<keyof M, Set<(detail: never) => void>>();

  /** on calls fn at each event of that name until the returned function is called. */
  on<K extends keyof M>(name: K, fn: (detail: M[K]) => void): () => void {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set);
    set.add(fn);
    return () => set.delete(fn);
  }

  protected emit<K extends keyof M>(name: K, detail: M[K]): void {
    for (const fn of [...(this.#listeners.get(name) ?? [])]) {
      try {
        fn(detail as never);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

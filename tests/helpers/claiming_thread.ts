/// <reference lib="webworker" />
// Claims jobs of a store until there are none left, and answers with their ids.
import { openStore } from "../../src/store/open.ts";
import { claim } from "./store.ts";

self.onmessage = async ({ data: path }: MessageEvent<string>) => {
  using store = await openStore(path);
  const ids: string[] = [];
  while (true) {
    const claimed = await claim(store, { idle: 2 });
    if (claimed.length === 0) break;
    ids.push(...claimed.map(({ job }) => job.id));
  }
  self.postMessage(ids);
};

import { Database } from "@db/sqlite";
import { completeJob } from "../../src/job_request.ts";
import { settingsFrom } from "../../src/settings.ts";
import { openStore } from "../../src/store/open.ts";
import { milliseconds, type Section, type Size } from "./line.ts";
import { queuectl, run, temporaryFolder } from "./programs.ts";

/** Jobs on their way in: one process each, by JSON lines, by the library, and bare rows as the limit. */
export function enqueues({ bulk, samples }: Size): Section {
  const folder = temporaryFolder();
  const fresh = async <T>(use: (store: string) => Promise<T>) => {
    using place = temporaryFolder();
    return await use(place.file("queue.db"));
  };
  const perSecond = (ms: number) => bulk / ms * 1000;
  const one = queuectl(folder.file("queue.db"), "enqueue", "true");
  return {
    lines: [
      {
        what: "enqueue, a process each",
        unit: "/s",
        async measure() {
          const ms = await milliseconds(async () => {
            for (let i = 0; i < samples / 10; i++) await run(one);
          });
          return samples / 10 / ms * 1000;
        },
      },
      {
        what: `${bulk} bare prepared inserts`,
        unit: "/s",
        measure: () => fresh(async (path) => perSecond(await bareInserts(path, bulk))),
      },
      {
        what: `enqueue of ${bulk}, by the library`,
        unit: "/s",
        to: `${bulk} bare prepared inserts`,
        atLeast: 0.3,
        measure: () => fresh(async (path) => perSecond(await byLibrary(path, bulk))),
      },
      {
        what: `enqueue of ${bulk}, by JSON lines`,
        unit: "/s",
        to: `${bulk} bare prepared inserts`,
        measure: () =>
          fresh(async (path) => {
            const input = '{"command":"true"}\n'.repeat(bulk);
            return perSecond(
              await milliseconds(() => run(queuectl(path, "enqueue", "@-"), { input })),
            );
          }),
      },
    ],
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

/** Puts the same rows into the same table, and nothing else: no checks of ids, no counters, no history. */
async function bareInserts(path: string, rows: number): Promise<number> {
  using made = await openStore(path);
  await made.enqueue([newJob()], BY);
  using bare = disposable(new Database(path, { int64: true, create: false }));
  const { db } = bare;
  const names = db.prepare("select name from pragma_table_info('jobs') where name <> 'seq'")
    .values<[string]>().map(([name]) => name);
  const row = db.prepare(`select ${names} from jobs`).values()[0]!;
  const insert = db.prepare(`insert into jobs (${names}) values (${names.map(() => "?")})`);
  const id = names.indexOf("id");
  return await milliseconds(() => {
    db.transaction(() => {
      for (let i = 0; i < rows; i++) {
        row[id] = `bare-${i}`;
        insert.run(...row);
      }
    }).immediate();
  });
}

async function byLibrary(path: string, jobs: number): Promise<number> {
  using store = await openStore(path);
  return await milliseconds(() => store.enqueue(Array.from({ length: jobs }, newJob), BY));
}

const SETTINGS = settingsFrom(new Map());
const BY = { now: Date.now(), actor: "bench" };

function newJob() {
  return completeJob({ command: "true" }, SETTINGS, { folder: "/", now: BY.now });
}

function disposable(db: Database) {
  return { db, [Symbol.dispose]: () => db.close() };
}

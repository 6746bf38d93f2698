import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UserError } from "../../src/errors.ts";
import type { NewSchedule, Schedule, Store } from "../../src/store/store.ts";
import { by, claim, newJob } from "../helpers/store.ts";
import {
  eventsOf,
  everythingOf,
  type FreshStore,
  idsOf,
  jobIds,
  MINUTE,
  NOW,
  rulesFor,
  statesOf,
} from "./rules.ts";

/** What is known of schedules, and how their ticks become jobs. */
export function scheduleConformance(name: string, freshStore: () => Promise<FreshStore>) {
  const rule = rulesFor(name, freshStore);

  rule("schedules() are told by their names, as they were added", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    assertEquals(await store.schedules(), []);
    const b = schedule({ name: "b", missed: "all", request: '{"command":"ü \\"x\\""}' });
    const a = schedule({ name: "a", timeZone: "Europe/Berlin", nextAt: null });
    await store.addSchedule(b, by(NOW));
    await store.addSchedule(a, by(NOW + 1));
    const untouched = { pausedAt: null, lastTick: null, lastJob: null };
    assertEquals(await other.schedules(), [
      { ...a, createdAt: NOW + 1, ...untouched },
      { ...b, createdAt: NOW, ...untouched },
    ]);
  });

  rule("a schedule is not added twice, and the first one stays as it is", async (connect) => {
    const [store, other] = [await connect(), await connect()];
    await store.addSchedule(schedule(), by(NOW));
    const before = await everythingOf(store);
    const error = await assertRejects(
      () => other.addSchedule(schedule({ cron: "@daily" }), by(NOW + 1)),
      UserError,
    );
    assertEquals(error.exitCode, 1);
    assertStringIncludes(error.message, '"nightly"');
    assertEquals(await everythingOf(store), before);
  });

  rule("a schedule can be removed, and its name be used again", async (connect) => {
    const store = await connect();
    await store.addSchedule(schedule(), by(NOW));
    await store.removeSchedule("nightly", by(NOW));
    assertEquals(await store.schedules(), []);
    await store.addSchedule(schedule({ cron: "@daily" }), by(NOW));
    assertEquals((await only(store)).cron, "@daily");
  });

  rule("of a schedule that is not there, nothing can be changed", async (connect) => {
    const store = await connect();
    await store.addSchedule(schedule(), by(NOW));
    const before = await everythingOf(store);
    const acts = [
      () => store.removeSchedule("night", by(NOW)),
      () => store.pauseSchedule("night", { paused: true, nextAt: null }, by(NOW)),
      () => store.pauseSchedule("night", { paused: false, nextAt: NOW }, by(NOW)),
    ];
    for (const act of acts) {
      const error = await assertRejects(act, UserError);
      assertEquals([error.exitCode, error.message], [1, 'No schedule "night"']);
    }
    assertEquals(await everythingOf(store), before);
  });

  rule("a tick moves the schedule on and adds its jobs", async (connect) => {
    const store = await connect();
    await store.addSchedule(schedule(), by(NOW));
    const jobs = ["one", "two"].map((id) => newJob({ id, schedule: "nightly" }));
    const next = { nextAt: NOW + 2 * MINUTE, lastTick: NOW + MINUTE, jobs };
    assertEquals(await store.tick(await only(store), next, by(NOW + MINUTE, "w")), true);
    const { nextAt, lastTick, lastJob } = await only(store);
    assertEquals([nextAt, lastTick, lastJob], [NOW + 2 * MINUTE, NOW + MINUTE, "two"]);
    assertEquals((await store.find("one")).schedule, "nightly");
    const [, ...events] = await eventsOf(store);
    assertEquals(events.map(({ event, job, at, actor }) => [event, job, at, actor]), [
      ["enqueued", "one", NOW + MINUTE, "w"],
      ["enqueued", "two", NOW + MINUTE, "w"],
    ]);
    assertEquals(jobIds(await claim(store, { now: NOW + MINUTE, idle: 5 })), ["one", "two"]);
  });

  rule("a tick without a job moves the schedule on and keeps what it last did", async (connect) => {
    const store = await connect();
    await store.addSchedule(schedule(), by(NOW));
    const tick = async (next: Parameters<Store["tick"]>[1]) => {
      await store.tick(await only(store), next, by(NOW));
      const { nextAt, lastTick, lastJob } = await only(store);
      return [nextAt, lastTick, lastJob];
    };
    const jobs = [newJob({ id: "job" })];
    assertEquals(await tick({ nextAt: NOW + 1, lastTick: NOW, jobs }), [NOW + 1, NOW, "job"]);
    assertEquals(
      await tick({ nextAt: NOW + 2, lastTick: null, jobs: [] }),
      [NOW + 2, NOW, "job"],
    );
    assertEquals(await tick({ nextAt: null, lastTick: NOW + 2, jobs: [] }), [null, NOW + 2, "job"]);
    assertEquals(await idsOf(store), ["job"]);
  });

  rule("a tick makes its jobs once, however many connections try", async (connect) => {
    const stores = await Promise.all(Array.from({ length: 4 }, connect));
    await stores[0]!.addSchedule(schedule(), by(NOW));
    for (let tick = 1; tick <= 5; tick++) {
      const seen = await Promise.all(stores.map(only));
      const next = { nextAt: NOW + tick * MINUTE + MINUTE, lastTick: NOW + tick * MINUTE };
      const done = await Promise.all(
        stores.map((store, i) => store.tick(seen[i]!, { ...next, jobs: [newJob()] }, by(NOW))),
      );
      assertEquals(done.filter(Boolean).length, 1);
      assertEquals((await idsOf(stores[0]!)).length, tick);
    }
  });

  rule("a tick that was overtaken, paused or removed changes nothing", async (connect) => {
    const store = await connect();
    await store.addSchedule(schedule(), by(NOW));
    const seen = await only(store);
    const next = { nextAt: NOW + 2 * MINUTE, lastTick: NOW, jobs: [newJob()] };
    const refused = async () => {
      const before = await everythingOf(store);
      assertEquals(await store.tick(seen, next, by(NOW)), false);
      assertEquals(await everythingOf(store), before);
    };
    await store.tick(seen, { ...next, jobs: [] }, by(NOW));
    await refused();
    await store.pauseSchedule("nightly", { paused: true, nextAt: seen.nextAt }, by(NOW));
    await refused();
    await store.removeSchedule("nightly", by(NOW));
    await refused();
  });

  rule(
    "a paused schedule stays where it is until it is resumed with its next tick",
    async (connect) => {
      const store = await connect();
      await store.addSchedule(schedule(), by(NOW));
      await store.pauseSchedule("nightly", { paused: true, nextAt: null }, by(NOW + 5));
      const paused = await only(store);
      assertEquals([paused.pausedAt, paused.nextAt], [NOW + 5, null]);
      const next = { nextAt: NOW + 9 * MINUTE, lastTick: NOW, jobs: [newJob()] };
      assertEquals(await store.tick({ ...paused, nextAt: NOW + MINUTE }, next, by(NOW)), false);
      await store.pauseSchedule(
        "nightly",
        { paused: false, nextAt: NOW + 7 * MINUTE },
        by(NOW + 6),
      );
      const resumed = await only(store);
      assertEquals([resumed.pausedAt, resumed.nextAt], [null, NOW + 7 * MINUTE]);
      assertEquals(await store.tick(resumed, next, by(NOW)), true);
    },
  );

  rule("a tick of which one job cannot be added changes nothing", async (connect) => {
    const store = await connect();
    await store.addSchedule(schedule(), by(NOW));
    await store.enqueue([newJob({ id: "taken", key: "k" })], by(NOW));
    const before = await everythingOf(store);
    const bad = [
      newJob({ id: "taken" }),
      newJob({ key: "k" }),
      newJob({ after: [{ id: "nobody", anyEnd: false }] }),
    ];
    for (const job of bad) {
      const next = { nextAt: NOW + 9 * MINUTE, lastTick: NOW, jobs: [newJob(), job] };
      await assertRejects(async () => store.tick(await only(store), next, by(NOW)), UserError);
      assertEquals(await everythingOf(store), before);
    }
  });

  rule(
    "a tick whose job has a key that is taken may leave it, or replace the other one",
    async (connect) => {
      const store = await connect();
      await store.addSchedule(schedule(), by(NOW));
      for (const [i, ifExists] of (["skip", "skip", "replace"] as const).entries()) {
        const jobs = [newJob({ id: `job-${i}`, key: "k", ifExists })];
        const next = { nextAt: NOW + (i + 2) * MINUTE, lastTick: NOW, jobs };
        assertEquals(await store.tick(await only(store), next, by(NOW)), true);
      }
      assertEquals(await statesOf(store), { "job-0": "cancelled", "job-2": "pending" });
      assertEquals((await only(store)).lastJob, "job-2");
    },
  );

  rule("what is done to a schedule is an event with its name", async (connect) => {
    const store = await connect();
    await store.addSchedule(schedule(), by(NOW, "anna"));
    await store.pauseSchedule("nightly", { paused: true, nextAt: null }, by(NOW + 1, "bob"));
    await store.pauseSchedule("nightly", { paused: false, nextAt: NOW }, by(NOW + 2, "bob"));
    await store.removeSchedule("nightly", by(NOW + 3, "anna"));
    const events = (await eventsOf(store)).map(({ at, event, job, cause, actor }) =>
      [at - NOW, event, job, cause, actor] as const
    );
    assertEquals(events, [
      [0, "schedule added", null, 'Schedule "nightly"', "anna"],
      [1, "schedule paused", null, 'Schedule "nightly"', "bob"],
      [2, "schedule resumed", null, 'Schedule "nightly"', "bob"],
      [3, "schedule removed", null, 'Schedule "nightly"', "anna"],
    ]);
  });
}

// --- Words of the rules

function schedule(said: Partial<NewSchedule> = {}): NewSchedule {
  return {
    name: "nightly",
    cron: "* * * * *",
    timeZone: "UTC",
    missed: "one",
    request: '{"command":"true"}',
    nextAt: NOW + MINUTE,
    ...said,
  };
}

async function only(store: Store): Promise<Schedule> {
  const [found, ...others] = await store.schedules();
  assertEquals(others, []);
  return found!;
}

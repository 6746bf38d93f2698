import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UserError } from "../src/errors.ts";
import {
  readSetting,
  SETTING_NAMES,
  type SettingName,
  settingNamed,
  SETTINGS,
  settingsFrom,
  writeSetting,
} from "../src/settings.ts";

const DAY = 86_400_000;

/** Of every setting: its initial value, texts it takes, and texts it refuses. */
const TABLE: Record<
  SettingName,
  { initial: unknown; reads: [string, unknown][]; refuses: string[] }
> = {
  max_retries: {
    initial: 3,
    reads: [["0", 0], ["1", 1], ["3.0", 3], ["1000000", 1_000_000], [" 7 ", 7]],
    refuses: ["-1", "1.5", "1000001", "none", "0x10", "3 4"],
  },
  backoff_base: {
    initial: 2,
    reads: [["0", 0], ["1.5", 1.5], ["1000", 1000], ["0.0000001", 1e-7]],
    refuses: ["-1", "1000.1", "2s", "1e3", "Infinity", "NaN"],
  },
  backoff_max: {
    initial: 300_000,
    reads: [["0", 0], ["300", 300_000], ["5m", 300_000], ["500ms", 500], ["365d", 365 * DAY]],
    refuses: ["-1", "365d1ms", "none", "1w"],
  },
  backoff_jitter: {
    initial: 0,
    reads: [["0", 0], ["0.25", 0.25], ["1", 1]],
    refuses: ["1.01", "-0.1", "10%"],
  },
  timeout: {
    initial: null,
    reads: [["none", null], ["0.001", 1], ["90", 90_000], ["1h30m", 5_400_000], [
      "365d",
      365 * DAY,
    ]],
    refuses: ["0", "0s", "None", "-1", "366d", "soon"],
  },
  ok_codes: {
    initial: [],
    reads: [
      ["3", [3]],
      ["3,4", [3, 4]],
      [" 4 , 3,4 ", [4, 3]],
      ["0,255", [255]],
      ["007", [7]],
      ["none", []],
    ],
    refuses: ["256", "-1", "1.5", "3,", ",", "3 4", "3;4", "3,none", "None", "0x10", "1e2"],
  },
  fatal_codes: {
    initial: [],
    reads: [["1", [1]], ["1,2,255", [1, 2, 255]], ["2, 2", [2]], ["none", []]],
    refuses: ["256", "-1", "1,,2", "any", "1-5"],
  },
  snooze: {
    initial: null,
    reads: [["none", null], ["0.001", 1], ["60", 60_000], ["10m", 600_000], ["365d", 365 * DAY]],
    refuses: ["0", "0s", "-1", "366d", "later"],
  },
  lease: {
    initial: 30_000,
    reads: [["1", 1000], ["2m", 120_000], ["1d", DAY]],
    refuses: ["0", "999ms", "25h", "none"],
  },
  kill_grace: {
    initial: 5000,
    reads: [["0", 0], ["1h", 3_600_000]],
    refuses: ["61m", "none"],
  },
  shutdown_grace: {
    initial: 30_000,
    reads: [["0", 0], ["1d", DAY]],
    refuses: ["25h", "none"],
  },
  poll_interval: {
    initial: 1000,
    reads: [["0.01", 10], ["250ms", 250], ["1h", 3_600_000]],
    refuses: ["0", "9ms", "61m"],
  },
  output_limit: {
    initial: 10_485_760,
    reads: [["1024", 1024], ["1073741824", 2 ** 30]],
    refuses: ["1023", "1073741825", "10MiB", "2048.5"],
  },
  retention: {
    initial: 30 * DAY,
    reads: [["none", null], ["1s", 1000], ["30d", 30 * DAY], ["36500d", 36_500 * DAY]],
    refuses: ["0", "999ms", "36501d", "for ever"],
  },
  hook_completed: {
    initial: null,
    reads: [["none", null], ["notify-send done", "notify-send done"], [" a | b\n", "a | b"]],
    refuses: ["echo \0"],
  },
  hook_dead: {
    initial: null,
    reads: [["none", null], ["None", "None"], [
      'mail -s "$QUEUECTL_JOB_ID" me',
      'mail -s "$QUEUECTL_JOB_ID" me',
    ]],
    refuses: ["\0"],
  },
  hook_idle: {
    initial: null,
    reads: [["none", null], ["shutdown -h now", "shutdown -h now"]],
    refuses: ["a\0b"],
  },
  durability: {
    initial: "full",
    reads: [["full", "full"], ["normal", "normal"]],
    refuses: ["off", "FULL", "1"],
  },
};

for (const name of SETTING_NAMES) {
  const { initial, reads, refuses } = TABLE[name];

  Deno.test(`${name} begins as ${JSON.stringify(initial)}, and takes what it says it accepts`, () => {
    assertEquals(settingsFrom(new Map())[name] as unknown, initial);
    for (const [text, value] of reads) {
      assertEquals(readSetting(name, text) as unknown, value, text);
    }
  });

  Deno.test(`${name} refuses the rest, naming the value and what it accepts`, () => {
    for (const text of ["", " ", ...refuses]) {
      const error = assertThrows(() => readSetting(name, text), UserError);
      assertEquals(error.exitCode, 2);
      assertEquals(
        error.message,
        `Cannot set config ${name} to ${JSON.stringify(text)}: expected ${SETTINGS[name].accepts}`,
      );
    }
  });

  Deno.test(`${name} is written as a text that it reads as the same value`, () => {
    for (const value of [initial, ...reads.map(([, value]) => value)]) {
      const text = writeSetting(name, value as never);
      assertEquals(readSetting(name, text) as unknown, value, text);
    }
  });

  Deno.test(`${name} has a help text`, () => {
    assert(SETTINGS[name].help.length > 10);
  });
}

Deno.test("values are written as config get shows them", () => {
  const cases: [SettingName, unknown, string][] = [
    ["max_retries", 3, "3"],
    ["backoff_base", 1.5, "1.5"],
    ["timeout", null, "none"],
    ["timeout", 90_000, "90"],
    ["poll_interval", 250, "0.25"],
    ["retention", 30 * DAY, "30d"],
    ["retention", null, "none"],
    ["ok_codes", [], "none"],
    ["ok_codes", [3, 4], "3,4"],
    ["fatal_codes", [255], "255"],
    ["snooze", null, "none"],
    ["snooze", 600_000, "600"],
    ["hook_dead", null, "none"],
    ["hook_dead", "a | b", "a | b"],
    ["durability", "normal", "normal"],
  ];
  for (const [name, value, text] of cases) {
    assertEquals(writeSetting(name, value as never), text, name);
  }
});

Deno.test("a setting is found by its name and its aliases, in any spelling", () => {
  const cases: [string, SettingName][] = [
    ...SETTING_NAMES.map((name): [string, SettingName] => [name, name]),
    ["max-retries", "max_retries"],
    ["MAX_RETRIES", "max_retries"],
    ["base_backoff", "backoff_base"],
    ["base-backoff", "backoff_base"],
    ["worker_poll_interval", "poll_interval"],
    ["worker-poll-interval", "poll_interval"],
    ["Kill-Grace", "kill_grace"],
    ["ok-codes", "ok_codes"],
    ["hook-completed", "hook_completed"],
  ];
  for (const [key, name] of cases) assertEquals(settingNamed(key), name, key);
});

Deno.test("an unknown key is a bad request that lists the keys there are", () => {
  for (const key of ["", "retries", "maxretries", "constructor", "__proto__", "max retries"]) {
    const error = assertThrows(() => settingNamed(key), UserError);
    assertEquals(error.exitCode, 2);
    assertStringIncludes(error.message, `Unknown config key "${key}"`);
    for (const name of SETTING_NAMES) assertStringIncludes(error.message, name);
  }
});

Deno.test("settings are those that were stored, and the initial ones for the rest", () => {
  const initial = settingsFrom(new Map());
  const settings = settingsFrom(new Map([["max_retries", "7"], ["timeout", "90"], ["later", "1"]]));
  assertEquals(settings, { ...initial, max_retries: 7, timeout: 90_000 });
});

Deno.test("a stored value that is out of range is refused, not used", () => {
  assertThrows(
    () => settingsFrom(new Map([["lease", "0"]])),
    UserError,
    'Cannot set config lease to "0"',
  );
});

Deno.test("the label of a refused value is that of whoever asked", () => {
  const error = assertThrows(() => readSetting("timeout", "soon", "--timeout"), UserError);
  assertStringIncludes(
    error.message,
    'Cannot set --timeout to "soon": expected none or a duration',
  );
});

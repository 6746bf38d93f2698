import { assert, assertEquals, assertThrows } from "@std/assert";
import { type BindValue, Database, type DatabaseOpenOptions } from "@db/sqlite";

const EXACT: DatabaseOpenOptions = { int64: true, parseJson: false };

function withMemory(body: (db: Database) => void): void {
  const db = new Database(":memory:", EXACT);
  try {
    body(db);
  } finally {
    db.close();
  }
}

function withDirectory(body: (dir: string) => void): void {
  const dir = Deno.makeTempDirSync();
  try {
    body(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function createAt(path: string): void {
  const db = new Database(path, EXACT);
  db.exec("CREATE TABLE job (id INTEGER PRIMARY KEY, state TEXT) STRICT");
  db.close();
}

function count(db: Database): number {
  return db.prepare("SELECT count(*) FROM job").value<[number]>()![0];
}

Deno.test("exec runs several statements", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id); INSERT INTO job VALUES (1); INSERT INTO job VALUES (2)");
    assertEquals(count(db), 2);
    assertThrows(() => db.exec("nonsense"), Error, "syntax error");
  });
});

Deno.test("rows come as plain objects or as arrays, all of them or the first", () => {
  withMemory((db) => {
    const stmt = db.prepare<{ a: number; b: string }>(
      "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y' ORDER BY 1",
    );
    assertEquals(stmt.all(), [{ a: 1, b: "x" }, { a: 2, b: "y" }]);
    assertEquals(stmt.values(), [[1, "x"], [2, "y"]]);
    assertEquals(stmt.get(), { a: 1, b: "x" });
    assertEquals(stmt.value(), [1, "x"]);
    assertEquals([...stmt.iter()], [{ a: 1, b: "x" }, { a: 2, b: "y" }]);
    assert(Object.getPrototypeOf(stmt.get()) === Object.prototype);
    assert(Object.getPrototypeOf(stmt.all()[0]) === Object.prototype);
    stmt.finalize();
  });
});

Deno.test("no row is undefined, or an empty list", () => {
  withMemory((db) => {
    const stmt = db.prepare("SELECT 1 AS a WHERE ?");
    assertEquals(stmt.get(0), undefined);
    assertEquals(stmt.value(0), undefined);
    assertEquals(stmt.all(0), []);
    assertEquals(stmt.values(0), []);
    assertEquals([...stmt.iter(0)], []);
    assertEquals(db.prepare("SELECT 1 AS a WHERE 0").get(), undefined);
  });
});

Deno.test("of two columns with one name the last one counts", () => {
  withMemory((db) => {
    assertEquals(db.prepare("SELECT 1 AS a, 2 AS a").get(), { a: 2 });
    assertEquals(db.prepare("SELECT 1 AS a, 2 AS a").all(), [{ a: 2 }]);
    assertEquals(db.prepare("SELECT 1 AS a, 2 AS a").value(), [1, 2]);
  });
});

Deno.test("parameters are taken one by one, as an array, or by name", () => {
  withMemory((db) => {
    const byPlace = db.prepare("SELECT ? AS a, ? AS b");
    assertEquals(byPlace.get("x", 2), { a: "x", b: 2 });
    assertEquals(byPlace.get(["x", 2]), { a: "x", b: 2 });
    assertEquals(db.prepare("SELECT ?2 AS a, ?1 AS b").get("x", 2), { a: 2, b: "x" });
    const byName = db.prepare("SELECT :a AS a, @b AS b, $c AS c");
    assertEquals(byName.get({ ":a": 1, "@b": true, "$c": "z" }), { a: 1, b: 1, c: "z" });
    assertEquals(db.prepare("SELECT :a AS a, :b AS b").all({ a: 1, b: 2 }), [{ a: 1, b: 2 }]);
  });
});

Deno.test("every method takes parameters in each form", () => {
  withMemory((db) => {
    const byPlace = db.prepare("SELECT ? AS a");
    const byName = db.prepare("SELECT :a AS a");
    assertEquals([byPlace.value(1), byPlace.value([1]), byName.value({ a: 1 })], [[1], [1], [1]]);
    assertEquals([...byPlace.values(1), ...byName.values({ a: 1 })], [[1], [1]]);
    assertEquals([...byPlace.iter(1), ...byPlace.iter([2]), ...byName.iter({ a: 3 })], [
      { a: 1 },
      { a: 2 },
      { a: 3 },
    ]);
    db.exec("CREATE TABLE job (id)");
    assertEquals(db.prepare("INSERT INTO job VALUES (?)").run(1), 1);
    assertEquals(db.prepare("INSERT INTO job VALUES (?)").run([2]), 1);
    assertEquals(db.prepare("INSERT INTO job VALUES (:id)").run({ id: 3 }), 1);
    assertEquals(db.prepare("SELECT id FROM job ORDER BY id").values(), [[1], [2], [3]]);
  });
});

Deno.test("the caller's array and object of parameters stay as they were", () => {
  withMemory((db) => {
    const list = [1, true, undefined];
    const named = { a: true, b: undefined };
    db.prepare("SELECT ?, ?, ?").get(list);
    db.prepare("SELECT :a, :b").get(named);
    assertEquals(list, [1, true, undefined]);
    assertEquals(named, { a: true, b: undefined });
  });
});

Deno.test("a parameter that is not given is NULL, whatever the last call gave", () => {
  withMemory((db) => {
    const byPlace = db.prepare("SELECT ? AS a, ? AS b");
    byPlace.get(1, 2);
    assertEquals(byPlace.get(3), { a: 3, b: null });
    assertEquals(byPlace.get(), { a: null, b: null });
    const byName = db.prepare("SELECT :a AS a, :b AS b");
    byName.get({ a: 1, b: 2 });
    assertEquals(byName.get({ b: 3 }), { a: null, b: 3 });
  });
});

Deno.test("a parameter that the statement does not have is an error", () => {
  withMemory((db) => {
    assertThrows(() => db.prepare("SELECT ?").get(1, 2), Error);
    assertThrows(() => db.prepare("SELECT :a").get({ b: 1 }), Error);
  });
});

Deno.test("values come back as they went in", () => {
  withMemory((db) => {
    const stmt = db.prepare("SELECT ? AS value");
    const back = (value: BindValue) => stmt.get(value)!.value;
    for (
      const value of ["", "text", "ü😀'\"", 1.5, -0.25, 0, -1, 2 ** 31, 2 ** 40, -(2 ** 53 - 1)]
    ) {
      assertEquals(back(value), value);
    }
    assertEquals(back(null), null);
    assertEquals(back(undefined), null);
    assertEquals(back(true), 1);
    assertEquals(back(false), 0);
    assertEquals(back(7n), 7);
    assertEquals(back(new Date(0)), "1970-01-01T00:00:00.000Z");
  });
});

Deno.test("integers are numbers up to 2^53 and bigints beyond, in every method", () => {
  withMemory((db) => {
    const stmt = db.prepare("SELECT ? AS value");
    const safe = Number.MAX_SAFE_INTEGER;
    for (const big of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)]) {
      assertEquals(stmt.get(big), { value: big });
      assertEquals(stmt.all(big), [{ value: big }]);
      assertEquals(stmt.value(big), [big]);
      assertEquals(stmt.values(big), [[big]]);
      assertEquals([...stmt.iter(big)], [{ value: big }]);
    }
    assertEquals(stmt.value(BigInt(safe)), [safe]);
    assertEquals(stmt.value(BigInt(-safe)), [-safe]);
    assertEquals(stmt.value(2 ** 60), [2n ** 60n]);
  });
});

Deno.test("a whole number is bound as an integer, any other as a real", () => {
  withMemory((db) => {
    const kind = db.prepare("SELECT typeof(?)");
    assertEquals(kind.value(1), ["integer"]);
    assertEquals(kind.value(2 ** 40), ["integer"]);
    assertEquals(kind.value(2 ** 60), ["integer"]);
    assertEquals(kind.value(true), ["integer"]);
    assertEquals(kind.value(1.5), ["real"]);
    assertEquals(db.prepare("SELECT :n / 2, :n || ''").value({ n: 7 }), [3, "7"]);
  });
});

Deno.test("bytes come back as bytes, none of them too", () => {
  withMemory((db) => {
    const stmt = db.prepare("SELECT ? AS value, typeof(?1) AS kind");
    const whole = new Uint8Array([0, 1, 2, 255]);
    for (const value of [whole, new Uint8Array(), whole.subarray(1, 3)]) {
      assertEquals(stmt.get(value), { value: new Uint8Array(value), kind: "blob" });
      assertEquals(stmt.get([value]), { value: new Uint8Array(value), kind: "blob" });
    }
  });
});

Deno.test("JSON stays text", () => {
  withMemory((db) => {
    assertEquals(db.prepare("SELECT json('[1]')").value(), ["[1]"]);
  });
});

Deno.test("run returns the number of rows changed, as does the database", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id)");
    assertEquals(db.prepare("INSERT INTO job VALUES (1), (2), (3)").run(), 3);
    assertEquals(db.prepare("UPDATE job SET id = id + ? WHERE id > ?").run(10, 1), 2);
    assertEquals(db.changes, 2);
    assertEquals(db.prepare("DELETE FROM job WHERE id = :id").run({ id: 99 }), 0);
    assertEquals(db.changes, 0);
    db.exec("DELETE FROM job");
    assertEquals(db.changes, 3);
  });
});

Deno.test("RETURNING gives the rows and takes effect once", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id INTEGER PRIMARY KEY, n)");
    const add = db.prepare("INSERT INTO job (n) VALUES (?) RETURNING id, n");
    assertEquals(add.get(2n ** 60n), { id: 1, n: 2n ** 60n });
    assertEquals(add.all(5), [{ id: 2, n: 5 }]);
    assertEquals(count(db), 2);
  });
});

Deno.test("iter may be left early", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id); INSERT INTO job VALUES (1), (2), (3)");
    const stmt = db.prepare("SELECT id FROM job WHERE id > ? ORDER BY id");
    for (const row of stmt.iter(1)) {
      assertEquals(row, { id: 2 });
      break;
    }
    assertEquals([...stmt.iter(2)], [{ id: 3 }]);
  });
});

Deno.test("a wrong statement and a broken constraint are errors that say why", () => {
  withMemory((db) => {
    assertThrows(() => db.prepare("SELECT missing"), Error, "no such column");
    assertThrows(() => db.prepare("SELECT * FROM job"), Error, "no such table");
    db.exec("CREATE TABLE job (id INTEGER PRIMARY KEY); INSERT INTO job VALUES (1)");
    const add = db.prepare("INSERT INTO job VALUES (?)");
    assertThrows(() => add.run(1), Error, "UNIQUE constraint failed");
    assertEquals(add.run(2), 1);
  });
});

Deno.test("the defaults are those of plain SQLite", () => {
  withMemory((db) => {
    const pragma = (name: string) => db.prepare(`PRAGMA ${name}`).value<[number]>()![0];
    assertEquals(pragma("foreign_keys"), 0);
    assertEquals(pragma("busy_timeout"), 0);
    assertEquals(pragma("recursive_triggers"), 0);
    assertEquals(db.prepare(`SELECT "no such column"`).value(), ["no such column"]);
  });
});

Deno.test("a transaction commits what was done and returns the result", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id)");
    const add = db.transaction((from: number, to: number) => {
      assert(db.inTransaction && !db.autocommit);
      for (let id = from; id <= to; id++) db.prepare("INSERT INTO job VALUES (?)").run(id);
      return to - from + 1;
    });
    assertEquals(add(1, 2), 2);
    assertEquals(add.deferred(1, 3), 3);
    assertEquals(add.immediate(1, 4), 4);
    assertEquals(add.exclusive(1, 5), 5);
    assert(!db.inTransaction && db.autocommit);
    assertEquals(count(db), 14);
  });
});

Deno.test("a transaction that fails is rolled back and throws on", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id)");
    const failure = new TypeError("stop");
    const fail = db.transaction(() => {
      db.exec("INSERT INTO job VALUES (1)");
      throw failure;
    });
    for (const call of [fail, fail.deferred, fail.immediate, fail.exclusive]) {
      assert(assertThrows(call) === failure);
      assert(!db.inTransaction);
    }
    assertEquals(count(db), 0);
  });
});

Deno.test("a transaction within a transaction is rolled back alone", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id)");
    const add = db.transaction((id: number) => {
      db.prepare("INSERT INTO job VALUES (?)").run(id);
      if (id < 0) throw new RangeError("negative");
    });
    db.transaction(() => {
      add(1);
      assertThrows(() => add(-1), RangeError);
      assertThrows(() => add.immediate(-2), RangeError);
      assert(db.inTransaction);
      add(2);
    })();
    assertEquals(db.prepare("SELECT id FROM job ORDER BY id").values(), [[1], [2]]);
  });
});

Deno.test("the outer transaction takes the inner ones back with it", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id)");
    const add = db.transaction(() => db.exec("INSERT INTO job VALUES (1)"));
    const outer = db.transaction(() => {
      add();
      throw new Error("stop");
    });
    assertThrows(outer, Error, "stop");
    assertEquals(count(db), 0);
  });
});

Deno.test("a transaction that was ended inside throws the first error", () => {
  withMemory((db) => {
    db.exec("CREATE TABLE job (id)");
    const fail = db.transaction(() => {
      db.exec("ROLLBACK");
      throw new Error("the first");
    });
    assertThrows(fail, Error, "the first");
  });
});

Deno.test("a closed database says so, and closing it again does nothing", () => {
  const db = new Database(":memory:", EXACT);
  assert(db.open);
  db.prepare("SELECT 1").get();
  db.close();
  db.close();
  assert(!db.open);
  assert(!db.inTransaction);
});

Deno.test("closing takes back a transaction under way", () => {
  withDirectory((dir) => {
    const path = `${dir}/store.db`;
    createAt(path);
    const db = new Database(path, EXACT);
    db.exec("BEGIN; INSERT INTO job (state) VALUES ('queued')");
    assert(db.inTransaction);
    db.close();
    const again = new Database(path, EXACT);
    assertEquals(count(again), 0);
    again.close();
  });
});

Deno.test("a file is created by default, and opened by path or URL", () => {
  withDirectory((dir) => {
    const path = `${dir}/a b.db`;
    createAt(path);
    const db = new Database(new URL(`file://${dir}/a%20b.db`), EXACT);
    assertEquals(db.path, path);
    assertEquals(count(db), 0);
    db.close();
  });
});

Deno.test("a database in memory leaves no file, whatever the path", () => {
  withDirectory((dir) => {
    const db = new Database(`${dir}/store.db`, { ...EXACT, memory: true });
    db.exec("CREATE TABLE job (id)");
    db.close();
    assertEquals([...Deno.readDirSync(dir)], []);
  });
});

Deno.test("without create a missing file is an error and stays missing", () => {
  withDirectory((dir) => {
    const open = () => new Database(`${dir}/store.db`, { ...EXACT, create: false });
    assertThrows(open, Error, "unable to open database file");
    assertEquals([...Deno.readDirSync(dir)], []);
  });
});

Deno.test("without create an existing file is opened whatever its name, and can be written", () => {
  withDirectory((dir) => {
    for (
      const name of ["a b", "a?mode=ro", "a#b", "a%20b", "100%", "ü", "file:a", "a&b=c", "\\a"]
    ) {
      const path = `${dir}/${name}`;
      createAt(path);
      const db = new Database(path, { ...EXACT, create: false });
      db.exec("INSERT INTO job (state) VALUES ('queued')");
      assertEquals([count(db), db.path], [1, path]);
      db.close();
    }
  });
});

Deno.test("a readonly database can be read but not written", () => {
  withDirectory((dir) => {
    const path = `${dir}/store.db`;
    assertThrows(
      () => new Database(path, { ...EXACT, readonly: true }),
      Error,
      "unable to open database file",
    );
    createAt(path);
    for (const create of [undefined, false]) {
      const db = new Database(path, { ...EXACT, readonly: true, create });
      assertEquals(count(db), 0);
      const write = () => db.exec("INSERT INTO job (state) VALUES ('queued')");
      assertThrows(write, Error, "attempt to write a readonly database");
      db.close();
    }
  });
});

Deno.test("a store that another connection writes to is locked at once", () => {
  withDirectory((dir) => {
    const path = `${dir}/store.db`;
    createAt(path);
    const writer = new Database(path, EXACT);
    const other = new Database(path, EXACT);
    const add = other.prepare("INSERT INTO job (state) VALUES (?)");
    const begin = other.transaction(() => {}).immediate;
    writer.exec("BEGIN IMMEDIATE");
    for (const write of [() => add.run("queued"), () => other.exec("BEGIN IMMEDIATE"), begin]) {
      assertThrows(write, Error, "database is locked");
    }
    assert(!other.inTransaction);
    writer.exec("COMMIT");
    assertEquals(add.run("queued"), 1);
    writer.close();
    other.close();
  });
});

Deno.test("busy_timeout waits as long as it is told", () => {
  withDirectory((dir) => {
    const path = `${dir}/store.db`;
    createAt(path);
    const writer = new Database(path, EXACT);
    const other = new Database(path, EXACT);
    other.exec("PRAGMA busy_timeout = 50");
    writer.exec("BEGIN IMMEDIATE");
    const start = performance.now();
    assertThrows(() => other.exec("BEGIN IMMEDIATE"), Error, "database is locked");
    assert(performance.now() - start >= 45);
    writer.close();
    other.close();
  });
});

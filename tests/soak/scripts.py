"""What the sessions of a soak do, as scripts of pgbench.

A block with a handler is a subtransaction: what another session's change makes impossible is rolled back alone. The
constraints are checked inside of it, since a violation at COMMIT would end the session.
"""

from tests.soak import tables as t

_DRAWN = f"""
\\set id random(1, {t.PEOPLE})
\\set other random(1, {t.PEOPLE})
\\set third random(1, {t.PEOPLE})
\\set c random(1, {t.COUNTRIES})
\\set k random(1, {t.CODES})
\\set c2 random(1, {t.COUNTRIES})
\\set k2 random(1, {t.CODES})
\\set visit random(1, {t.VISITS})
\\set call random(1, {t.CALLS})
\\set event random(1, {t.EVENTS})
\\set day random(0, {t.DAYS - 1})
\\set day2 random(0, {t.DAYS - 1})
\\set seat random(1, {t.SEATS})
\\set seat2 random(1, {t.SEATS})
\\set n random(1, 1000000)
"""

_ESSAY = f"CASE WHEN :n % 4 = 0 THEN repeat(md5(:n::text), {t.LONG // 32}) END"
_KIND = "(ARRAY['boss', 'clerk', 'guest', NULL])[1 + :n % 4]"
_PERSON = f"""
    INSERT INTO people VALUES (:id, 'n' || :n, {_KIND}, CASE WHEN :n % 3 > 0 THEN :other END, 'c' || :c, :k,
        date '1990-01-01' + :n % 9999, make_interval(secs => :n), :n / 7.0, :n / 100.0, ARRAY['a', 'b' || :n], :n,
        jsonb_build_object('n', :n), {_ESSAY})
"""  # noqa: S608 - fixed texts


def _block(body: str) -> str:
    return (
        f"{_DRAWN}DO $$ BEGIN {body} SET CONSTRAINTS ALL IMMEDIATE;"
        " EXCEPTION WHEN integrity_constraint_violation THEN NULL; END $$;\n"
    )


def _whole(body: str) -> str:
    return f"{_DRAWN}BEGIN;\n{body}COMMIT;\n"


INSERTS = _block(f"""
    {_PERSON} ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind;
    INSERT INTO visits VALUES (:visit, (SELECT slug FROM regions WHERE country = 'c' || :c AND code = :k), now())
        ON CONFLICT (id) DO NOTHING;
    INSERT INTO memberships SELECT :id, country, code, current_date, :n / 3.0, {_ESSAY} FROM regions
        WHERE country = 'c' || :c2 AND code BETWEEN :k2 AND :k2 + 3 ON CONFLICT DO NOTHING;
    INSERT INTO events VALUES (:event, :day, :id, 'e' || :n, jsonb_build_object('n', :n))
        ON CONFLICT (id, day) DO UPDATE SET note = excluded.note;
""")  # noqa: S608 - fixed texts

FAMILIES = _block(f"""
    INSERT INTO calls VALUES (:call, :other, :third, CASE :n % 2 WHEN 0 THEN 'phone' ELSE 'mail' END, :n)
        ON CONFLICT (id) DO UPDATE SET caller = excluded.caller, callee = excluded.callee, how = excluded.how;
    UPDATE people SET boss = :id WHERE id IN (:other, :third);
    {_PERSON} ON CONFLICT (id) DO UPDATE SET boss = excluded.boss, facts = excluded.facts, essay = excluded.essay;
    INSERT INTO regions SELECT 'c' || :c, :k, 'r' || :n, 's' || :c || '-' || :k WHERE :n % 4 = 0
        ON CONFLICT (country, code) DO UPDATE SET name = excluded.name, version = regions.version + 1;
""")  # noqa: S608 - fixed texts

UPDATES = _block(f"""
    UPDATE people SET name = 'u' || :n, kind = {_KIND}, score = -score, amount = :n / 100.0 WHERE id = :id;
    UPDATE people SET facts = facts || jsonb_build_object('k' || :k, :n), rank = rank + 1 WHERE id = :other;
    UPDATE people SET essay = CASE WHEN :k < 3 THEN NULL ELSE {_ESSAY} END, tags = tags || ARRAY[NULL, 'x']
        WHERE id = :third AND array_length(tags, 1) < 9;
    UPDATE visits SET at = at + interval '1.5 s' WHERE id = :visit;
    UPDATE events SET note = 'u' || :n, facts = jsonb_build_object('u', :n) WHERE id = :event;
    UPDATE memberships SET weight = weight + 1, since = since + 1 WHERE person = :id;
    UPDATE calls SET seconds = nullif(:n % 9, 0), how = CASE WHEN how = 'mail' THEN 'phone' ELSE 'mail' END
        WHERE id = :call;
""")  # noqa: S608 - fixed texts

REFERENCES = _block("""
    UPDATE people SET boss = CASE WHEN boss IS NULL THEN :other END WHERE id = :id;
    UPDATE people SET country = CASE WHEN country IS NULL THEN 'c' || :c END,
        code = CASE WHEN country IS NULL THEN :k END WHERE id = :third;
    UPDATE visits SET slug = CASE WHEN slug IS NULL THEN 's' || :c || '-' || :k END WHERE id = :visit;
    UPDATE calls SET callee = CASE WHEN callee IS NULL THEN :other END WHERE id = :call;
    UPDATE memberships SET country = 'c' || :c2, code = :k2 WHERE person = :id AND country = 'c' || :c AND code = :k;
    UPDATE memberships SET person = :other WHERE person = :third AND code = :k;
    UPDATE events SET person = nullif(:other, person) WHERE id = :event;
    UPDATE seats SET person = CASE WHEN person IS NULL THEN :id END WHERE id = :seat;
""")

DELETES = _block("""
    DELETE FROM people WHERE id = :id;
    DELETE FROM visits WHERE id = :visit;
    DELETE FROM events WHERE id = :event AND day < :day;
    DELETE FROM calls WHERE id = :call;
    DELETE FROM memberships WHERE person = :other AND code = :k;
    DELETE FROM regions WHERE :n % 10 = 0 AND country = 'c' || :c AND code = :k;
""")

KEYS = _block("""
    UPDATE people SET id = :other WHERE id = :id;
    UPDATE visits SET id = id + 1 WHERE id = :visit;
    UPDATE events SET day = :day2 WHERE id = :event AND day = :day;
    UPDATE calls SET id = id + 1 WHERE id = :call;
    UPDATE regions SET code = :k2 WHERE :n % 5 = 0 AND country = 'c' || :c AND code = :k;
    UPDATE regions SET slug = 's' || :c || '-' || :k || '-' || :n % 3
        WHERE :n % 3 > 0 AND country = 'c' || :c AND code = :k;
""")

SWAPS = _block("""
    UPDATE seats SET place = CASE id WHEN :seat THEN (SELECT place FROM seats WHERE id = :seat2)
                                     ELSE (SELECT place FROM seats WHERE id = :seat) END
        WHERE id IN (:seat, :seat2) AND :seat <> :seat2;
    WITH gone AS (DELETE FROM seats WHERE id IN (:seat, :seat2) AND :seat <> :seat2 RETURNING *)
        INSERT INTO seats SELECT CASE id WHEN :seat THEN :seat2 ELSE :seat END, place, person FROM gone ORDER BY id;
    UPDATE visits SET id = -id WHERE id IN (:visit, :visit + 1);
    UPDATE visits SET id = CASE id WHEN -:visit THEN :visit + 1 ELSE :visit END WHERE id IN (-:visit, -:visit - 1);
    UPDATE people SET id = -:id WHERE id = :id;
    UPDATE people SET id = :id WHERE id = :other;
    UPDATE people SET id = :other WHERE id = -:id;
""")

SAVEPOINTS = _whole("""
SELECT id FROM people WHERE id IN (:id, :other) ORDER BY id FOR UPDATE;
UPDATE people SET name = 's' || :n WHERE id = :id;
SAVEPOINT one;
UPDATE people SET rank = -1, essay = NULL WHERE id = :id;
DELETE FROM visits WHERE id = :visit;
ROLLBACK TO one;
UPDATE people SET amount = amount + 0.01 WHERE id = :other;
SAVEPOINT two;
UPDATE visits SET at = NULL WHERE id = :visit;
SAVEPOINT three;
DELETE FROM calls WHERE id = :call;
RELEASE three;
ROLLBACK TO two;
INSERT INTO visits VALUES (:visit, NULL, now()) ON CONFLICT (id) DO UPDATE SET at = excluded.at;
RELEASE two;
""")

MIXED = {
    "inserts": (INSERTS, 25),
    "families": (FAMILIES, 12),
    "updates": (UPDATES, 25),
    "references": (REFERENCES, 15),
    "deletes": (DELETES, 6),
    "keys": (KEYS, 6),
    "savepoints": (SAVEPOINTS, 10),
}
"""For most sessions: script and weight."""

SPARING = {"swaps": (SWAPS, 4), "pauses": (f"{UPDATES}\\sleep 200 ms\n", 1), "later": (f"{KEYS}\\sleep 300 ms\n", 1)}
"""For sessions that are held back by their own pauses or rate."""

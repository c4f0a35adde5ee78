"""One schema with every kind of table and reference that a mapping can have, and its mapping.

`person` and `region` are ends of relationship tables. `parent` and `place` are not, so that their keys may change hands
without an event for those who refer to them.
"""

SCHEMA = """
CREATE FUNCTION noise(seed int, size int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(string_agg(md5(seed || '.' || n), ''), size) FROM generate_series(1, size / 32 + 1) AS n
$$;

CREATE TYPE mood AS ENUM ('calm', 'wild');

CREATE TABLE region (country text, code int, name text, PRIMARY KEY (country, code));
CREATE TABLE city (
    country text, code int, number int, name text, PRIMARY KEY (country, code, number),
    FOREIGN KEY (country, code) REFERENCES region ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE street (
    id int PRIMARY KEY, country text, code int, number int,
    FOREIGN KEY (country, code, number) REFERENCES city ON UPDATE CASCADE ON DELETE SET NULL
);

CREATE TABLE person (
    id int PRIMARY KEY, name text, kind text, bio text,
    boss int REFERENCES person ON UPDATE CASCADE ON DELETE SET NULL,
    country text, code int, FOREIGN KEY (country, code) REFERENCES region ON UPDATE CASCADE ON DELETE SET NULL
);
CREATE TABLE tag (
    id int PRIMARY KEY, owner int NOT NULL REFERENCES person ON UPDATE RESTRICT ON DELETE CASCADE, word text
);
CREATE TABLE likes (
    person int REFERENCES person ON UPDATE CASCADE ON DELETE CASCADE, country text, code int, since date, why text,
    PRIMARY KEY (person, country, code),
    FOREIGN KEY (country, code) REFERENCES region ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE calls (
    id int PRIMARY KEY, kind text NOT NULL, at timestamptz, body text,
    caller int REFERENCES person ON UPDATE CASCADE ON DELETE CASCADE,
    callee int REFERENCES person ON UPDATE CASCADE ON DELETE SET NULL
);

CREATE TABLE parent (
    id int PRIMARY KEY, code text UNIQUE, label text, body text,
    next int REFERENCES parent DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE child (
    id int PRIMARY KEY, note text,
    parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED,
    parent_code text REFERENCES parent (code) DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE member (
    parent int REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, number int, note text,
    PRIMARY KEY (parent, number)
);

CREATE TABLE place (id int PRIMARY KEY, code text UNIQUE, name text);
CREATE TABLE visit (id int PRIMARY KEY, place int, place_code text, note text);

CREATE TABLE event (id int, at date, title text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE event_old PARTITION OF event FOR VALUES FROM ('2019-01-01') TO ('2020-01-01');
CREATE TABLE event_new PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE remark (
    id int PRIMARY KEY, event int, at date, words text,
    FOREIGN KEY (event, at) REFERENCES event ON UPDATE CASCADE ON DELETE SET NULL
);

CREATE TABLE doc (slug text PRIMARY KEY, title text, body text);
CREATE TABLE page (
    slug text REFERENCES doc ON UPDATE CASCADE ON DELETE CASCADE, number int, body text, up int,
    PRIMARY KEY (slug, number), FOREIGN KEY (slug, up) REFERENCES page ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE link (
    id int PRIMARY KEY, slug text REFERENCES doc ON UPDATE CASCADE ON DELETE CASCADE, note text,
    number int, FOREIGN KEY (slug, number) REFERENCES page ON UPDATE CASCADE ON DELETE CASCADE
);

CREATE TABLE item (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE owns (
    id int PRIMARY KEY, owner int REFERENCES person ON DELETE CASCADE,
    item text REFERENCES item (code) ON DELETE CASCADE
);

CREATE TABLE whole (
    id int PRIMARY KEY, a text, b text, person int REFERENCES person ON DELETE SET NULL ON UPDATE CASCADE
);
ALTER TABLE whole REPLICA IDENTITY FULL;

CREATE TABLE sample (
    id bigint PRIMARY KEY, small smallint, exact numeric(12, 2), any_numeric numeric, real float8,
    single float4, flag bool, raw bytea, day date, moment timestamptz, local timestamp, clock time,
    span interval, json jsonb, unique_id uuid,
    mood mood, numbers int[], words text[], fixed char(4), spot point, big text
);

ALTER TABLE person ALTER bio SET STORAGE EXTERNAL;
ALTER TABLE calls ALTER body SET STORAGE EXTERNAL;
ALTER TABLE parent ALTER body SET STORAGE EXTERNAL;
ALTER TABLE likes ALTER why SET STORAGE EXTERNAL;
ALTER TABLE whole ALTER b SET STORAGE EXTERNAL;
ALTER TABLE sample ALTER big SET STORAGE EXTERNAL;
ALTER TABLE doc ALTER slug SET STORAGE EXTERNAL, ALTER body SET STORAGE EXTERNAL;
ALTER TABLE link ALTER slug SET STORAGE EXTERNAL;
ALTER TABLE page ALTER slug SET STORAGE EXTERNAL, ALTER body SET STORAGE EXTERNAL;
"""

MAPPING = """
version = 1

[[node]]
table = "public.region"
label = "Region"
key = ["country", "code"]

[[node]]
table = "public.city"
label = "City"
extra_labels = ["Place name", "Point"]
key = ["country", "code", "number"]
[[node.relationship]]
columns = ["country", "code"]
type = "IN"
target = "public.region"
target_columns = ["country", "code"]

[[node]]
table = "public.street"
label = "Street"
key = ["id"]
rename = { number = "city_number" }
[[node.relationship]]
columns = ["number", "country", "code"]
type = "OF"
target = "public.city"
target_columns = ["number", "country", "code"]
direction = "in"

[[node]]
table = "public.person"
label = "Person"
labels_from = { column = "kind", values = { boss = "Boss", clerk = "Clerk" } }
key = ["id"]
rename = { name = "called" }
[[node.relationship]]
columns = ["boss"]
type = "BOSS"
target = "public.person"
target_columns = ["id"]
[[node.relationship]]
columns = ["country", "code"]
type = "LIVES_IN"
target = "public.region"
target_columns = ["country", "code"]

[[node]]
table = "public.tag"
label = "Tag"
key = ["id"]
keep_foreign_keys = false
[[node.relationship]]
columns = ["owner"]
type = "OWNER"
target = "public.person"
target_columns = ["id"]

[[relationship]]
table = "public.likes"
type = "LIKES"
key = ["person", "country", "code"]
start = { columns = ["person"], target = "public.person", target_columns = ["id"] }
end = { columns = ["country", "code"], target = "public.region", target_columns = ["country", "code"] }

[[relationship]]
table = "public.calls"
type_from = { column = "kind", values = { phone = "PHONED", video = "SAW" } }
key = ["id"]
start = { columns = ["caller"], target = "public.person", target_columns = ["id"] }
end = { columns = ["callee"], target = "public.person", target_columns = ["id"] }

[[node]]
table = "public.parent"
label = "Parent"
key = ["id"]
[[node.relationship]]
columns = ["next"]
type = "NEXT"
target = "public.parent"
target_columns = ["id"]

[[node]]
table = "public.child"
label = "Child"
key = ["id"]
[[node.relationship]]
columns = ["parent"]
type = "PARENT"
target = "public.parent"
target_columns = ["id"]
[[node.relationship]]
columns = ["parent_code"]
type = "BY_CODE"
target = "public.parent"
target_columns = ["code"]

[[node]]
table = "public.member"
label = "Member"
key = ["parent", "number"]
[[node.relationship]]
columns = ["parent"]
type = "MEMBER_OF"
target = "public.parent"
target_columns = ["id"]

[[node]]
table = "public.place"
label = "Place"
key = ["id"]

[[node]]
table = "public.visit"
label = "Visit"
key = ["id"]
[[node.relationship]]
columns = ["place"]
type = "AT"
target = "public.place"
target_columns = ["id"]
enforced = false
[[node.relationship]]
columns = ["place_code"]
type = "AT_CODE"
target = "public.place"
target_columns = ["code"]
direction = "in"
enforced = false

[[node]]
table = "public.event"
label = "Event"
key = ["id", "at"]

[[node]]
table = "public.remark"
label = "Remark"
key = ["id"]
[[node.relationship]]
columns = ["event", "at"]
type = "ABOUT"
target = "public.event"
target_columns = ["id", "at"]

[[node]]
table = "public.doc"
label = "Doc"
key = ["slug"]

[[node]]
table = "public.link"
label = "Link"
key = ["id"]
[[node.relationship]]
columns = ["slug"]
type = "TO"
target = "public.doc"
target_columns = ["slug"]
[[node.relationship]]
columns = ["slug", "number"]
type = "TO_PAGE"
target = "public.page"
target_columns = ["slug", "number"]

[[node]]
table = "public.page"
label = "Page"
key = ["slug", "number"]
[[node.relationship]]
columns = ["slug"]
type = "PART_OF"
target = "public.doc"
target_columns = ["slug"]
[[node.relationship]]
columns = ["slug", "up"]
type = "UP"
target = "public.page"
target_columns = ["slug", "number"]

[[node]]
table = "public.item"
label = "Item"
key = ["id"]

[[relationship]]
table = "public.owns"
type = "OWNS"
key = ["id"]
start = { columns = ["owner"], target = "public.person", target_columns = ["id"] }
end = { columns = ["item"], target = "public.item", target_columns = ["code"] }

[[node]]
table = "public.whole"
label = "Whole"
key = ["id"]
[[node.relationship]]
columns = ["person"]
type = "CONCERNS"
target = "public.person"
target_columns = ["id"]

[[node]]
table = "public.sample"
label = "Sample"
key = ["id"]
types = { any_numeric = "string" }
"""

TABLES = (
    *("region", "city", "street", "person", "tag", "likes", "calls", "parent", "child", "member"),
    *("place", "visit", "event", "remark", "doc", "link", "page", "item", "owns", "whole", "sample"),
)

"""The statements of a completion: one waits for the lock, two read under it, one writes everything, three end it."""

# A completion only ever looks single rows up. Left to itself the planner scans whole tables while they are small or
# their statistics old, and keeps such a plan for the life of a prepared statement; so it is told. For the same reason
# FACTS asks with LIMIT 1 where EXISTS would do: an EXISTS may be answered by hashing the whole table.
PLAN_LOOK_UPS = """
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;
SET plan_cache_mode = force_generic_plan; SET jit = off
"""

LOCK_NEWEST_PROGRAMME = """
SELECT id, version_no, event_no, head, last_instant, next_due_at
FROM programme WHERE id = (SELECT max(id) FROM programme) FOR UPDATE
"""

# Trade-ins in id order, each with its bike, which the completion sets «plated»; where either is locked elsewhere it is
# skipped and answered 503, so that no completion waits for a counter, nor a counter that waits for it for ever.
LOCK_TRADE_INS = """
SELECT t.id FROM trade_in t JOIN bike b ON b.id = t.bike_id
WHERE t.application_no = ANY(%s) ORDER BY t.id FOR UPDATE OF t SKIP LOCKED FOR NO KEY UPDATE OF b SKIP LOCKED
"""

FACTS = """
SELECT t.application_no, t.id AS trade_in_id, t.reference, t.state, t.opened_at, t.plate_applied_at, t.opening,
       t.old_plate_cancelled_at, t.sold_at, t.compliance, t.owner_id, t.filed_bike_id, t.bike_id, t.dealer_id,
       f.plate_no AS old_plate_no, f.filed_on, f.transferred_on, f.owner_id AS filing_owner_id,
       b.vehicle_code, b.registration_code, s.buyer_id, o.id_index AS owner_index,
       t.completed_at, p.plate_no AS issued_plate_no, p.issued_at AS plate_issued_at,
       c.position, c.state AS claim_state, c.stage_no, c.amount_fen, c.reason, c.effective_at, c.recorded_at,
       c.evidence #>> '{faults,0,seen}' AS seen_vehicle_code,
       ARRAY(SELECT m.field FROM marked_fault m WHERE m.trade_in_id = t.id AND m.mended_at IS NULL ORDER BY m.id)
           AS marked_faults,
       (SELECT w.id FROM wallet w WHERE w.trade_in_id = t.id AND w.superseded_at IS NULL LIMIT 1)
           IS NOT NULL AS has_wallet,
       coalesce((SELECT x.position FROM claim x WHERE x.filed_bike_id = t.filed_bike_id LIMIT 1),
                (SELECT x.position FROM claim x WHERE x.bike_id = t.bike_id LIMIT 1)) IS NOT NULL AS claimed_before,
       (SELECT count(*) FROM claim k WHERE k.person_id = t.owner_id AND (k.state IN ('awarded', 'held')
           OR (k.state = 'waiting' AND k.reason IN ('no_place', 'paused')))
           AND k.programme_id = (SELECT max(id) FROM programme)) AS person_count
FROM trade_in t
JOIN filed_bike f ON f.id = t.filed_bike_id
JOIN person o ON o.id = t.owner_id
JOIN bike b ON b.id = t.bike_id
LEFT JOIN sale s ON s.id = t.sale_id
LEFT JOIN plate p ON p.application_no = t.application_no
LEFT JOIN claim c ON c.trade_in_id = t.id
WHERE t.application_no = ANY(%s)
"""

# Asked only where the police's vehicle code differs from ours as by a slip: of two bikes from one box the codes differ
# by one digit as well.
CODE_OF_ANOTHER_BIKE = """
SELECT EXISTS (SELECT FROM bike WHERE vehicle_code = %(vehicle_code)s)
    OR EXISTS (SELECT FROM earlier_trade_in WHERE vehicle_code = %(vehicle_code)s)
    OR EXISTS (SELECT FROM earlier_plate WHERE vehicle_code = %(vehicle_code)s)
"""

# One statement writes every row of every claim of the batch. An award moves money from the stage to «committed», a
# hold to «held»; both are one posting. A claim or a plate that is there already fails it, and the batch with it.
WRITE_CLAIMS = """
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS row(
        event_no bigint, position bigint, trade_in_id bigint, filed_bike_id bigint, bike_id bigint, person_id bigint,
        effective_at timestamptz, refusal text, fault text, evidence json, evidence_sha256 text,
        outcome text, state text, stage_no int, amount_fen int, reason text, account text, decided_fault text,
        expires_at timestamptz,
        debit text, credit text, movement text,
        payout_state text, plate_no text, application_no text, issued_at timestamptz, reference text, body text)
), event AS (
    INSERT INTO queue_event (programme_id, event_no, kind, recorded_at, position, person_id, trade_in_id,
                             effective_at, refusal, fault, evidence_sha256)
    SELECT %(programme_id)s, event_no, 'claim', %(recorded_at)s, position, person_id, trade_in_id, effective_at,
           refusal, fault, decode(evidence_sha256, 'hex') FROM given
), claimed AS (
    INSERT INTO claim (programme_id, position, trade_in_id, filed_bike_id, bike_id, person_id, effective_at,
                       recorded_at, state, stage_no, amount_fen, reason, evidence)
    SELECT %(programme_id)s, position, trade_in_id, filed_bike_id, bike_id, person_id, effective_at, %(recorded_at)s,
           state, stage_no, amount_fen, reason, evidence::jsonb FROM given
), decided AS (
    INSERT INTO decision (programme_id, event_no, position, outcome, stage_no, amount_fen, reason, account, fault,
                          expires_at)
    SELECT %(programme_id)s, event_no, position, outcome, stage_no, amount_fen, reason, account, decided_fault,
           expires_at FROM given
), posted AS (
    INSERT INTO ledger_posting (programme_id, event_no, position, at, kind, debit, credit, amount_fen)
    SELECT %(programme_id)s, event_no, position, %(recorded_at)s, movement, debit, credit, amount_fen
    FROM given WHERE debit IS NOT NULL
), owed AS (
    INSERT INTO payout (programme_id, position, trade_in_id, person_id, stage_no, amount_fen, state, owed_since)
    SELECT %(programme_id)s, position, trade_in_id, person_id, stage_no, amount_fen, payout_state, %(recorded_at)s
    FROM given WHERE outcome = 'award'
), plated AS (
    INSERT INTO plate (plate_no, bike_id, holder_id, application_no, issued_at)
    SELECT plate_no, bike_id, person_id, application_no, issued_at FROM given
), told AS (
    INSERT INTO message (person_id, dedupe_key, body)
    SELECT person_id, 'completed:' || reference, body FROM given
), audited AS (
    INSERT INTO audit_entry (actor, action, subject, detail)
    SELECT 'police', 'trade_in.complete', 'trade_in:' || reference,
           json_build_object('position', position, 'plate_no', plate_no, 'event_no', event_no) FROM given
), completed AS (
    UPDATE trade_in SET state = 'completed', plate_issued_at = given.issued_at, completed_at = %(recorded_at)s
    FROM given WHERE trade_in.id = given.trade_in_id
), registered AS (
    UPDATE bike SET state = 'plated' FROM given WHERE bike.id = given.bike_id
), balanced AS (
    INSERT INTO account_balance AS running (programme_id, account, balance_fen)
    SELECT %(programme_id)s, account, fen
    FROM json_to_recordset(%(changes)s::json) AS change(account text, fen bigint)
    ON CONFLICT (programme_id, account) DO UPDATE SET balance_fen = running.balance_fen + excluded.balance_fen
)
UPDATE programme SET event_no = %(event_no)s, head = %(head)s::jsonb, last_instant = %(recorded_at)s,
                     next_due_at = %(next_due_at)s
WHERE id = %(programme_id)s
"""

# The queue's lock goes to the next batch at this one's commit, and the disk is waited for after it. The database writes
# its log in order: once the empty message behind the commit is on disk, so is the commit, and all it was built upon.
COMMIT_BEFORE_DISK = "SET LOCAL synchronous_commit = off"
COMMIT = "COMMIT"
WAIT_FOR_DISK = "SELECT pg_logical_emit_message(true, 'mapai', '')"

COMPLETE_UNCLAIMED = """
WITH plated AS (
    INSERT INTO plate (plate_no, bike_id, holder_id, application_no, issued_at)
    VALUES (%(plate_no)s, %(bike_id)s, %(owner_id)s, %(application_no)s, %(issued_at)s)
), told AS (
    INSERT INTO message (person_id, dedupe_key, body)
    VALUES (%(owner_id)s, 'completed:' || %(reference)s, %(body)s)
), audited AS (
    INSERT INTO audit_entry (actor, action, subject, detail)
    VALUES ('police', 'trade_in.complete', 'trade_in:' || %(reference)s, '{"claimed": false}')
), completed AS (
    UPDATE trade_in SET state = 'completed', plate_issued_at = %(issued_at)s, completed_at = %(recorded_at)s
    WHERE id = %(trade_in_id)s
)
UPDATE bike SET state = 'plated' WHERE id = %(bike_id)s
"""

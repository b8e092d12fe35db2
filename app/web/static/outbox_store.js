// Where a point's sendings are kept until they have arrived: IndexedDB, one row a sending, each with its account.
// A row: {key, account, at, action, page, what, of, fields: [[name, text or File]], lacks, now, state, why, said}.
// `state` is waiting, lacks (something has to be typed again: `lacks` says whether "id" or "code"), refused or sent.
// No ID number and no one-time code is ever in a row.
"use strict";

window.mapaiOutboxStore = (function () {
  var NAME = "mapai-outbox", ROWS = "sendings";
  var KEPT_MS = 3 * 24 * 3600 * 1000, SENT_KEPT_MS = 24 * 3600 * 1000;
  var NEVER_KEPT = /(^|_)(id_no|id_tail|password)$/, ONE_TIME = "one-time-code";
  // 18 signs with a day of birth in their middle, whatever field they were typed into.
  var ID_NUMBER = /(^|\D)\d{6}(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dX](?!\d)/i;
  var opened = null;

  function open() {
    if (opened) return opened;
    opened = new Promise(function (done, failed) {
      var asked = window.indexedDB.open(NAME, 1);
      asked.onupgradeneeded = function () { asked.result.createObjectStore(ROWS, { keyPath: "key" }); };
      asked.onsuccess = function () { done(asked.result); };
      asked.onerror = function () { failed(asked.error); };
      asked.onblocked = function () { failed(new Error("blocked")); };
    });
    opened.catch(function () { opened = null; });
    return opened;
  }

  function within(mode, work) {
    return open().then(function (database) {
      return new Promise(function (done, failed) {
        var transaction = database.transaction(ROWS, mode), result = work(transaction.objectStore(ROWS));
        transaction.oncomplete = function () { done(result && "result" in result ? result.result : undefined); };
        transaction.onerror = transaction.onabort = function () { failed(transaction.error); };
      });
    });
  }

  function put(row) { return within("readwrite", function (rows) { return rows.put(row); }).then(function () { return row; }); }
  function remove(key) { return within("readwrite", function (rows) { return rows.delete(key); }); }

  function every(mode, each) {
    return within(mode, function (rows) {
      var asked = rows.openCursor();
      asked.onsuccess = function () {
        var cursor = asked.result;
        if (cursor) { each(cursor); cursor.continue(); }
      };
    });
  }

  // One account's rows, oldest first. What is too old goes, whoever's it is.
  function list(account) {
    var found = [], now = Date.now();
    return every("readwrite", function (cursor) {
      var row = cursor.value;
      if (now - row.at > (row.state === "sent" ? SENT_KEPT_MS : KEPT_MS)) cursor.delete();
      else if (row.account === account) found.push(row);
    }).then(function () { return found.sort(function (one, other) { return one.at - other.at; }); });
  }

  function clear(account) {
    return every("readwrite", function (cursor) { if (cursor.value.account === account) cursor.delete(); });
  }

  function plain(text) {
    return (text.normalize ? text.normalize("NFKC") : text).replace(/[\s-]/g, "");
  }

  function isCode(name, input) {
    return name === "code" || Boolean(input && input.getAttribute("autocomplete") === ONE_TIME);
  }

  function maybeKept(name, value, input) {
    if (isCode(name, input) || NEVER_KEPT.test(name) || (input && (input.type === "password" || input.hasAttribute("data-unkept")))) return false;
    return typeof value !== "string" || !ID_NUMBER.test(plain(value));
  }

  // What a form holds: `all` goes up now and lives in this page's memory only, `kept` may be written down.
  function contentOf(form) {
    var all = [], kept = [], code = false;
    Array.prototype.forEach.call(form.elements, function (input) {
      if (!input.name || input.disabled || input.name === "csrf_token" || /^(submit|button|reset|image)$/.test(input.type)) return;
      if ((input.type === "checkbox" || input.type === "radio") && !input.checked) return;
      var values = input.type === "file" ? Array.prototype.slice.call(input.files) : [input.value];
      values.forEach(function (value) {
        all.push([input.name, value]);
        if (maybeKept(input.name, value, input)) kept.push([input.name, value]);
        else code = code || isCode(input.name, input);
      });
    });
    return { all: all, kept: kept, lacks: kept.length === all.length ? "" : code ? "code" : "id" };
  }

  return { put: put, remove: remove, list: list, clear: clear, contentOf: contentOf };
})();

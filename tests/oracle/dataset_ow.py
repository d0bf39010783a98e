"""An OW for dataset.py: the endpoints that a poll reads, with the data that are known at the time of its clock."""

import base64
import bisect
import collections
import datetime
import http.server
import json
import urllib.parse

from dataset_world import BEGIN, DAY, stamp

KEY = "sk-oracle"


class Ow(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, world):
        super().__init__(("127.0.0.1", 0), Handler)
        self.world, self.now, self.requests = world, BEGIN, collections.Counter()
        self.people = {person.user: person for person in world.people}

    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer({"success": True})

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        parts = url.path.removeprefix("/api/v1/").split("/")
        person = self.server.people.get(parts[1]) if parts[0] == "users" and len(parts) > 1 else None
        route = "/".join(parts[2:])
        self.server.requests[route or parts[0]] += 1
        if parts == ["sync", "runs"] or route == "sync/recent":
            return self.answer([])
        if person is None:
            return self.answer({"detail": "User not found."}, 404)
        if route == "":
            return self.answer({"id": person.user, "external_user_id": None, "has_active_connection": True})
        if route == "connections":
            return self.answer([{"user_id": person.user, "provider": person.provider, "status": "active", "live_sync_mode": "webhook"}])
        if route == "timeseries":
            return self.timeseries(person, query)
        if route in ("events/sleep", "events/workouts"):
            return self.events(person.nights if route.endswith("sleep") else person.workouts, query)
        if route == "summaries/activity":
            low, high = (at.date() for at in self.range(query, "date"))
            days = [record for day, (visible, record) in sorted(person.activity.items()) if low <= day < high and visible <= self.server.now]
            return self.page(days, query, lambda record: record["date"])
        if route == "summaries/data":
            low, high = self.range(query, "date")
            found = [one for one in person.samples if low <= one.at < high and one.visible <= self.server.now]
            by = collections.defaultdict(collections.Counter)
            for one in found:
                by[one.provider][one.kind] += 1
            counts = collections.Counter(one.kind for one in found)
            return self.answer({"user_id": person.user, "series_type_counts": counts,
                                "by_provider": [{"provider": name, "series_counts": counts} for name, counts in by.items()]})
        return self.answer({"detail": "Not Found"}, 404)

    def range(self, query, what):
        low, high = (datetime.datetime.fromisoformat(query[f"{end}_{what}"][0]) for end in ("start", "end"))
        return low, high

    def timeseries(self, person, query):
        low, high = self.range(query, "time")
        # OW takes an end at midnight as the end of that day.
        high = high + DAY if high.time() == datetime.time() else high
        types, now = set(query.get("types", [])), self.server.now
        first = bisect.bisect_left(person.samples, low, key=lambda one: one.at)
        last = bisect.bisect_left(person.samples, high, key=lambda one: one.at)
        found = [one for one in person.samples[first:last] if one.kind in types and one.visible <= now]
        self.page(found, query, lambda one: f"{stamp(one.at)}|{one.kind}|{one.total}", lambda one: one.json(now))

    def events(self, events, query):
        low, high = self.range(query, "date")
        found = [record for record in (event.at(self.server.now) for event in events) if record]
        found = [one for one in found if low <= datetime.datetime.fromisoformat(one["start_time"]) and
                 datetime.datetime.fromisoformat(one["end_time"]) < high]
        found.sort(key=lambda one: (one["start_time"], one["id"]), reverse=True)
        self.page(found, query, lambda one: one["id"])

    def page(self, found, query, name, render=lambda one: one):
        limit, begin = int(query["limit"][0]), 0
        if "cursor" in query:
            after = base64.urlsafe_b64decode(query["cursor"][0]).decode()
            begin = next(place for place, one in enumerate(found) if name(one) == after) + 1
        page = found[begin:begin + limit]
        more = begin + limit < len(found)
        cursor = base64.urlsafe_b64encode(name(page[-1]).encode()).decode() if more else None
        self.answer({"data": [render(one) for one in page], "metadata": {},
                     "pagination": {"next_cursor": cursor, "previous_cursor": None, "has_more": more, "total_count": len(found)}})

    def answer(self, value, status=200):
        if self.headers.get("X-Open-Wearables-API-Key") != KEY:
            value, status = {"detail": "Invalid or missing API key"}, 401
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

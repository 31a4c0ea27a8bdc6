// The API over a real queue on the memory spool, without sockets: requests in, responses out.
#include "admin/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/openapi.h"
#include "spool/memory/memory_spool.h"
#include "testing/run.h"

namespace mansio::admin {
namespace {

using ::testing::HasSubstr;

/// Defers every recipient whose address begins with "later", delivers the others.
class PickyChannel final : public delivery::Channel {
 public:
  Task<delivery::SessionReport> run(delivery::SessionRequest,
                                    delivery::WorkSource& source) override {
    delivery::SessionReport report;
    while (auto work = source.next()) {
      std::vector<Disposition> dispositions;
      for (const std::uint32_t index : work->recipients()) {
        const Address& address = work->message().envelope.recipients[index].address;
        dispositions.push_back(answer(address.local.starts_with("later")));
      }
      source.finished(std::move(work), std::move(dispositions));
      ++report.messages;
    }
    co_return report;
  }

  std::string describe(const std::string&) const override { return "test"; }

 private:
  static Disposition answer(bool defers) {
    Disposition disposition;
    disposition.outcome = defers ? Outcome::deferred : Outcome::delivered;
    disposition.reply.code = defers ? 451 : 250;
    disposition.reply.text = defers ? "come back \xff" : "taken";
    disposition.stage = Stage::rcpt;
    disposition.host = "mx.test.example";
    return disposition;
  }
};

class Api : public ::testing::Test {
 protected:
  Api() {
    spool::MemorySpoolOptions spool_options;
    spool_options.now = [this] { return clock_.now(); };
    spool_ = spool::make_memory_spool(spool_options);
    auto settings = std::make_shared<settings::Settings>();
    settings->server.hostname = "mail.test.example";
    settings->spool.url = "memory:";
    settings::Route route;
    route.pattern = "*";
    settings->routes.push_back(route);
    std::vector<boost::asio::any_io_executor> loops = {
        boost::asio::make_strand(context_.get_executor())};
    std::map<std::string, std::shared_ptr<delivery::Channel>> channels;
    channels["smtp"] = std::make_shared<PickyChannel>();
    Queue::Ports ports{*spool_, clock_, loops, [] { return std::make_unique<SeededRandom>(1); },
                       channels};
    queue_ = std::make_unique<Queue>(std::move(ports), settings);
    queue_->start();
    ApiOptions options;
    options.version = "1.2.3";
    options.listeners = [] {
      ListenerStatistics listener;
      listener.protocol = "smtp";
      listener.address = "127.0.0.1:2525";
      return std::vector<ListenerStatistics>{listener};
    };
    options.reload = [this] { return wrong_settings_; };
    options.probe = [](std::string destination, std::string sender) -> Task<delivery::ProbeReport> {
      delivery::ProbeReport report;
      report.destination = destination;
      report.how = sender;
      delivery::ProbedAddress address;
      address.address = "192.0.2.1:25";
      report.addresses.push_back(address);
      co_return report;
    };
    options.traces = &traces_;
    api_ = std::make_unique<AdminApi>(context_.get_executor(), *queue_, clock_, options);
  }

  ~Api() override {
    fake::run(context_, clock_, api_->stop());
    fake::run(context_, clock_, queue_->stop(clock_.steady_now() + std::chrono::seconds(1)));
    spool_->stop();
  }

  net::HttpRequest request(std::string method, std::string target, std::string body = "") {
    net::HttpRequest made;
    made.method = std::move(method);
    made.target = std::move(target);
    made.body = std::move(body);
    made.is_loopback = true;
    made.peer = Endpoint{"127.0.0.1", 40000};
    made.headers["host"] = "127.0.0.1:8025";
    if (made.method == "POST") made.headers["content-type"] = "application/json";
    return made;
  }

  net::HttpResponse ask(net::HttpRequest made) {
    return fake::run(context_, clock_, api_->handle(std::move(made)));
  }

  net::HttpResponse ask(std::string method, std::string target, std::string body = "") {
    return ask(request(std::move(method), std::move(target), std::move(body)));
  }

  Json json(std::string method, std::string target, std::string body = "") {
    const net::HttpResponse response = ask(std::move(method), target, std::move(body));
    EXPECT_EQ(response.status, 200) << target << " " << response.body;
    return Json::parse(response.body);
  }

  /// The field that an error blames, or its code where it blames none; "" if there is no error.
  std::string blamed(const net::HttpResponse& response) {
    const Json parsed = Json::parse(response.body, nullptr, false);
    if (!parsed.contains("error")) return "";
    const Json& error = parsed["error"];
    EXPECT_TRUE(error.contains("message"));
    return error.value("field", error.value("code", ""));
  }

  /// Accepts a message and lets the first attempts end.
  std::string accept(const std::vector<std::string>& recipients, std::string subject = "hi") {
    Submission submission;
    submission.envelope.reverse_path = *Address::parse("alice@example.org", false);
    for (const std::string& text : recipients) {
      Recipient recipient;
      recipient.address = *Address::parse(text, false);
      recipient.original = recipient.address;
      submission.envelope.recipients.push_back(recipient);
    }
    const std::string octets = "Subject: " + subject + "\r\n\r\nhello\r\n";
    ContentScanner scanner;
    scanner.feed(octets);
    submission.content.facts = scanner.finish();
    submission.content.octets = std::make_shared<const std::string>(octets);
    const Admitted admitted = fake::run(context_, clock_, queue_->admit(std::move(submission)));
    EXPECT_EQ(admitted.status, spool::Status::committed) << admitted.detail;
    clock_.advance(context_, std::chrono::milliseconds(100));
    return admitted.id.to_string();
  }

  fake::VirtualClock clock_;
  boost::asio::io_context context_;
  std::unique_ptr<spool::Spool> spool_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<AdminApi> api_;
  delivery::TraceBook traces_{clock_};
  std::string wrong_settings_;  ///< what a reload says
};

/// Every required member is there, and nothing that the schema does not name.
void expect_schema(const Json& schemas, Json schema, const Json& value, const std::string& where) {
  if (schema.contains("$ref")) {
    const std::string name = schema["$ref"].get<std::string>();
    schema = schemas[name.substr(name.rfind('/') + 1)];
  }
  if (value.is_object() && schema.contains("properties")) {
    for (const Json& name : schema["required"]) {
      EXPECT_TRUE(value.contains(name.get<std::string>())) << where << "." << name;
    }
    for (const auto& [name, member] : value.items()) {
      ASSERT_TRUE(schema["properties"].contains(name)) << where << "." << name;
      expect_schema(schemas, schema["properties"][name], member, where + "." + name);
    }
  }
  if (value.is_array() && schema.contains("items")) {
    for (const Json& element : value)
      expect_schema(schemas, schema["items"], element, where + "[]");
  }
}

/// A request that the description gives as an example: nothing but what it needs.
net::HttpRequest example_of(const Json& document, const Route& route, net::HttpRequest made) {
  std::string method = route.method;
  for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const Json& operation = document["paths"][route.path][method];
  if (operation.contains("requestBody")) {
    made.body = dump(operation["requestBody"]["content"]["application/json"]["example"]);
  }
  for (const Parameter& parameter : route.parameters) {
    if (parameter.required) made.target += "?" + parameter.name + "=" + parameter.example;
  }
  return made;
}

TEST_F(Api, AnswersEveryDeclaredRouteAsItsSchemaSays) {
  const std::string id = accept({"later@b.example", "now@b.example"});
  const Json schemas = response_schemas();
  const Json document = openapi_document("1.2.3");
  // The first job and the first trace have the number 1; the trace is asked for on the way.
  ASSERT_EQ(ask("POST", "/v1/messages/retry", R"({"everything":true,"wait":false})").status, 202);
  for (const Route& route : routes()) {
    std::string path = route.path;
    if (route.has_id()) path.replace(path.find("{id}"), 4, id);
    if (route.has_number()) path.replace(path.find("{number}"), 8, "1");
    const net::HttpResponse response =
        ask(example_of(document, route, request(route.method, path)));
    EXPECT_EQ(response.status, 200) << route.method << " " << route.path << " " << response.body;
    EXPECT_EQ(response.content_type, route.content_type) << route.path;
    if (route.schema.empty()) continue;
    const Json parsed = Json::parse(response.body, nullptr, false);
    ASSERT_FALSE(parsed.is_discarded()) << route.path;
    expect_schema(schemas, schemas[route.schema], parsed, route.name);
  }
}

TEST_F(Api, ServesTheDescriptionOfItself) {
  EXPECT_EQ(json("GET", "/v1/openapi.json"), openapi_document("1.2.3"));
}

TEST_F(Api, ListsWhatTheSelectorsMatch) {
  const std::string first = accept({"later@b.example"}, "Summer offer");
  const std::string second = accept({"later2@c.example", "now@c.example"}, "Invoice");
  const auto ids = [&](const std::string& query) {
    std::vector<std::string> found;
    const Json list = json("GET", "/v1/messages" + query);
    for (const Json& message : list["messages"]) found.push_back(message["id"].get<std::string>());
    return found;
  };
  const std::vector<std::string> none, one = {first}, two = {second}, both = {first, second};
  EXPECT_EQ(ids(""), both);
  EXPECT_EQ(ids("?destination=b.example"), one);
  EXPECT_EQ(ids("?destination=*.example"), both);
  EXPECT_EQ(ids("?recipient=later2%40c.example"), two);
  EXPECT_EQ(ids("?sender=alice@example.org"), both);
  EXPECT_EQ(ids("?sender=%3C%3E"), none);
  EXPECT_EQ(ids("?state=deferred"), both);
  EXPECT_EQ(ids("?state=held"), none);
  EXPECT_EQ(ids("?subject=offer"), one);
  EXPECT_EQ(ids("?tries_min=1"), both);
  EXPECT_EQ(ids("?retries_min=2"), none);
  EXPECT_EQ(ids("?size_min=1MiB"), none);
  EXPECT_EQ(ids("?older_than=1h"), none);
  EXPECT_EQ(ids("?tenant=other"), none);
  EXPECT_EQ(ids("?binding=default"), both);
}

TEST_F(Api, PagesWithResumeTokens) {
  std::vector<std::string> accepted;
  for (int i = 0; i < 5; ++i) accepted.push_back(accept({"later@b.example"}));
  std::vector<std::string> listed;
  std::string resume;
  int pages = 0;
  do {
    const std::string query = resume.empty() ? "" : "&resume=" + resume;
    const Json page = json("GET", "/v1/messages?limit=2" + query);
    EXPECT_LE(page["messages"].size(), 2u);
    for (const Json& message : page["messages"]) listed.push_back(message["id"].get<std::string>());
    resume = page["resume"].get<std::string>();
    ASSERT_LT(++pages, 10);
  } while (!resume.empty());
  EXPECT_EQ(listed, accepted);
}

TEST_F(Api, ShowsOneMessageAndItsHistory) {
  const std::string id = accept({"later@b.example", "now@b.example"});
  const Json message = json("GET", "/v1/messages/" + id);
  EXPECT_EQ(message["id"], id);
  EXPECT_EQ(message["subject"], "hi");
  EXPECT_EQ(message["recipients"][0]["state"], "deferred");
  EXPECT_EQ(message["recipients"][0]["tries"], 1);
  EXPECT_EQ(message["recipients"][0]["last_reply"]["code"], 451);
  EXPECT_EQ(message["recipients"][0]["last_reply"]["text"], "come back \xEF\xBF\xBD");
  EXPECT_EQ(message["recipients"][1]["state"], "delivered");

  const Json history = json("GET", "/v1/messages/" + id + "/history");
  std::vector<std::string> events;
  for (const Json& entry : history["history"]) events.push_back(entry["event"].get<std::string>());
  EXPECT_EQ(events.front(), "accepted");
  EXPECT_THAT(events, ::testing::IsSupersetOf({"delivered", "deferred"}));
}

TEST_F(Api, KeepsTheHistoryOfAMessageThatIsGone) {
  const std::string id = accept({"now@b.example"});
  EXPECT_EQ(ask("GET", "/v1/messages/" + id).status, 404);
  const Json history = json("GET", "/v1/messages/" + id + "/history");
  EXPECT_EQ(history["history"].back()["event"], "delivered");
}

TEST_F(Api, SaysWhyARecipientWaits) {
  const std::string id = accept({"later@b.example"});
  const Json waits = json("GET", "/v1/messages/" + id + "/why")["waits"];
  ASSERT_EQ(waits.size(), 1u);
  EXPECT_EQ(waits[0]["reason"], "backoff");
  EXPECT_EQ(waits[0]["setting"], "retry.min");
  EXPECT_FALSE(waits[0]["next_attempt"].is_null());
  EXPECT_THAT(waits[0]["detail"].get<std::string>(), HasSubstr("451"));
}

TEST_F(Api, GivesContentInPartsAndNeverAsAPage) {
  const std::string id = accept({"later@b.example"});
  const std::string octets = "Subject: hi\r\n\r\nhello\r\n";
  const net::HttpResponse whole = ask("GET", "/v1/messages/" + id + "/content");
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, octets);
  EXPECT_EQ(whole.content_type, "text/plain");
  EXPECT_EQ(whole.headers.at("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(whole.headers.at("Content-Disposition"), HasSubstr("attachment"));

  const net::HttpResponse part = ask("GET", "/v1/messages/" + id + "/content?offset=9&length=2");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "hi");
  EXPECT_EQ(part.headers.at("Content-Range"), "bytes 9-10/" + std::to_string(octets.size()));
  EXPECT_EQ(ask("GET", "/v1/messages/" + id + "/content?offset=1000").status, 416);
  EXPECT_EQ(blamed(ask("GET", "/v1/messages/" + id + "/content?length=8388609")), "length");
  EXPECT_EQ(blamed(ask("GET", "/v1/messages/" + id + "/content?offset=-1")), "offset");
}

TEST_F(Api, HoldsReleasesAndRemoves) {
  const std::string id = accept({"later@b.example"});
  const std::string by_id = R"({"ids":[")" + id + R"("],"reason":"look"})";
  EXPECT_EQ(json("POST", "/v1/messages/hold", by_id), Json::parse(R"({"matched":1,"changed":1})"));
  EXPECT_EQ(json("GET", "/v1/messages/" + id)["recipients"][0]["state"], "held");
  EXPECT_EQ(json("GET", "/v1/messages/" + id + "/why")["waits"][0]["reason"], "held");
  EXPECT_EQ(json("GET", "/v1/summary")["held"], 1);

  const std::string held = R"({"selector":{"state":"held"}})";
  EXPECT_EQ(json("POST", "/v1/messages/release", held),
            Json::parse(R"({"matched":1,"changed":1})"));
  clock_.advance(context_, std::chrono::seconds(1));
  EXPECT_EQ(json("GET", "/v1/messages/" + id)["recipients"][0]["tries"], 2);

  EXPECT_EQ(json("POST", "/v1/messages/retry", by_id)["changed"], 1);
  clock_.advance(context_, std::chrono::seconds(1));
  EXPECT_EQ(json("GET", "/v1/messages/" + id)["recipients"][0]["tries"], 3);

  EXPECT_EQ(json("POST", "/v1/messages/remove", R"({"everything":true})")["changed"], 1);
  const Json summary = json("GET", "/v1/summary");
  EXPECT_EQ(summary["removed"], 1);
  EXPECT_EQ(summary["queued"], 0);
  EXPECT_EQ(summary["balanced"], true);
  const Json history = json("GET", "/v1/messages/" + id + "/history")["history"];
  EXPECT_EQ(history.back()["event"], "removed");
  EXPECT_EQ(history.back()["actor"], "operator 127.0.0.1");
}

TEST_F(Api, BouncesWithAReport) {
  const std::string id = accept({"later@b.example"});
  EXPECT_EQ(json("POST", "/v1/messages/bounce", R"({"ids":[")" + id + R"("],"reason":"closed"})"),
            Json::parse(R"({"matched":1,"changed":1})"));
  clock_.advance(context_, std::chrono::seconds(1));
  const Json summary = json("GET", "/v1/summary");
  EXPECT_EQ(summary["failed"], 1);
  EXPECT_EQ(summary["accepted"], 2) << "the message and the notice about it";
  EXPECT_EQ(summary["balanced"], true);
}

TEST_F(Api, ChangesNothingInADryRun) {
  const std::string id = accept({"later@b.example"});
  EXPECT_EQ(json("POST", "/v1/messages/remove", R"({"everything":true,"dry_run":true})"),
            Json::parse(R"({"matched":1,"changed":1})"))
      << "what would change";
  EXPECT_EQ(ask("GET", "/v1/messages/" + id).status, 200);
}

TEST_F(Api, NamesTheIdsThatAreNotThere) {
  const std::string id = accept({"later@b.example"});
  const std::string other = "01HZX3J5Q8K2M4N6P7R9S0T1V2";
  const Json result =
      json("POST", "/v1/messages/hold", R"({"ids":[")" + id + R"(",")" + other + R"("]})");
  EXPECT_EQ(result["changed"], 1);
  EXPECT_EQ(result["missing"], Json::array({other}));
}

TEST_F(Api, RefusesIdsThatAreNone) {
  for (const std::string& id :
       {std::string("..%2f..%2fetc%2fpasswd"), std::string("%2e%2e"), std::string("%00"),
        std::string("1"), std::string(10000, 'A'), std::string("8ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
        std::string("01HZX3J5Q8K2M4N6P7R9S0T1V%00"), std::string("01HZX3J5Q8K2M4N6P7R9S0T1VU")}) {
    for (const char* suffix : {"", "/content", "/history", "/why"}) {
      const net::HttpResponse response = ask("GET", "/v1/messages/" + id + suffix);
      EXPECT_EQ(response.status, 400) << id.substr(0, 40) << suffix;
      EXPECT_EQ(blamed(response), "id");
    }
  }
}

TEST_F(Api, TakesIdsInLowerCase) {
  std::string id = accept({"later@b.example"});
  for (char& c : id) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  EXPECT_EQ(ask("GET", "/v1/messages/" + id).status, 200);
}

TEST_F(Api, AnswersUnknownIdsWith404) {
  for (const char* suffix : {"", "/content", "/history", "/why"}) {
    const auto response =
        ask("GET", std::string("/v1/messages/01HZX3J5Q8K2M4N6P7R9S0T1V2") + suffix);
    EXPECT_EQ(response.status, 404) << suffix;
    EXPECT_EQ(blamed(response), "missing");
  }
}

TEST_F(Api, RefusesUnknownParametersByName) {
  EXPECT_EQ(blamed(ask("GET", "/v1/summary?x=1")), "x");
  EXPECT_EQ(blamed(ask("GET", "/v1/messages?stat=held")), "stat");
  EXPECT_EQ(blamed(ask("GET", "/v1/messages?state=gone")), "state");
  EXPECT_EQ(blamed(ask("GET", "/v1/messages?limit=0")), "limit");
  EXPECT_EQ(blamed(ask("GET", "/v1/messages?limit=1001")), "limit");
  EXPECT_EQ(blamed(ask("GET", "/v1/messages?limit=1&limit=2")), "limit");
  EXPECT_EQ(blamed(ask("POST", "/v1/messages/hold?force=1", R"({"everything":true})")), "force");
  EXPECT_EQ(blamed(ask("POST", "/v1/messages/hold", R"({"everything":true,"force":1})")), "force");
  EXPECT_EQ(blamed(ask("POST", "/v1/messages/hold", R"({"selector":{"x":"1"}})")), "selector.x");
  EXPECT_EQ(ask("POST", "/v1/messages/hold", "{}").status, 400);
}

TEST_F(Api, RefusesVerbsByGetAndSaysWhatIsAllowed) {
  const net::HttpResponse response = ask("GET", "/v1/messages/remove");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.at("Allow"), "POST");
  EXPECT_EQ(ask("DELETE", "/v1/messages").status, 405);
  EXPECT_EQ(ask("HEAD", "/v1/summary").status, 200) << "the server leaves the body out";
  EXPECT_EQ(ask("HEAD", "/healthz").status, 200);
  EXPECT_EQ(ask("GET", "/v1/nothing").status, 404);
  EXPECT_EQ(ask("GET", "").status, 404);
}

TEST_F(Api, RefusesAChangeThatIsNotDeclaredJson) {
  const std::string body = R"({"everything":true})";
  for (const char* type :
       {"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"}) {
    net::HttpRequest made = request("POST", "/v1/messages/hold", body);
    made.headers["content-type"] = type;
    EXPECT_EQ(ask(made).status, 415) << type;
  }
  net::HttpRequest made = request("POST", "/v1/messages/hold", body);
  made.headers["content-type"] = "Application/JSON; charset=utf-8";
  EXPECT_EQ(ask(made).status, 200);
}

TEST_F(Api, RefusesAForeignHost) {
  for (const char* host : {"", "evil.example", "127.0.0.1.evil.example", "192.0.2.1:8025"}) {
    net::HttpRequest made = request("GET", "/v1/summary");
    made.headers["host"] = host;
    EXPECT_EQ(ask(made).status, 421) << host;
  }
  for (const char* host : {"localhost", "LOCALHOST:8025", "[::1]:8025", "127.0.0.1"}) {
    net::HttpRequest made = request("GET", "/v1/summary");
    made.headers["host"] = host;
    EXPECT_EQ(ask(made).status, 200) << host;
  }
}

TEST_F(Api, RefusesAForeignOrigin) {
  for (const char* origin :
       {"http://evil.example", "null", "http://127.0.0.1:9999", "127.0.0.1:8025"}) {
    net::HttpRequest made = request("POST", "/v1/messages/hold", R"({"everything":true})");
    made.headers["origin"] = origin;
    EXPECT_EQ(ask(made).status, 403) << origin;
  }
  net::HttpRequest own = request("POST", "/v1/messages/hold", R"({"everything":true})");
  own.headers["origin"] = "http://127.0.0.1:8025";
  EXPECT_EQ(ask(own).status, 200);
  net::HttpRequest cross = request("GET", "/v1/summary");
  cross.headers["sec-fetch-site"] = "cross-site";
  EXPECT_EQ(ask(cross).status, 403);
}

TEST_F(Api, RefusesPeersThatAreNotLocal) {
  for (const Route& route : routes()) {
    net::HttpRequest made = request(route.method, route.path);
    made.is_loopback = false;
    made.peer = Endpoint{"192.0.2.9", 1};
    EXPECT_EQ(ask(made).status, 403) << route.path;
  }
}

TEST_F(Api, TrustsTheUnixSocketWithoutAHost) {
  net::HttpRequest made = request("GET", "/v1/summary");
  made.is_loopback = false;
  made.is_unix = true;
  made.headers.clear();
  EXPECT_EQ(ask(made).status, 200);
}

TEST_F(Api, IsReadyWhileMailIsAcceptedAndAliveAfterwards) {
  EXPECT_EQ(ask("GET", "/readyz").status, 200);
  fake::run(context_, clock_, queue_->stop(clock_.steady_now() + std::chrono::seconds(1)));
  const net::HttpResponse response = ask("GET", "/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(Json::parse(response.body)["reason"], "stopping");
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
}

// ---- bulk verbs as jobs
// --------------------------------------------------------------------------

TEST_F(Api, RunsABulkVerbAsAJobThatCountsAndEnds) {
  accept({"later@b.example", "later@c.example"});
  const net::HttpResponse begun =
      ask("POST", "/v1/messages/hold", R"({"everything":true,"wait":false,"reason":"look"})");
  EXPECT_EQ(begun.status, 202);
  EXPECT_EQ(begun.headers.at("Location"), "/v1/jobs/1");
  clock_.advance(context_, std::chrono::seconds(1));
  const Json job = json("GET", "/v1/jobs/1");
  EXPECT_EQ(job["state"], "done");
  EXPECT_EQ(job["verb"], "hold");
  EXPECT_EQ(job["matched"], 2);
  EXPECT_EQ(job["changed"], 2);
  EXPECT_EQ(job["reason"], "look");
  EXPECT_EQ(json("GET", "/v1/summary")["held"], 2);
  EXPECT_EQ(json("GET", "/v1/jobs")["jobs"].size(), 1u);
}

TEST_F(Api, TellsInAJobWhichIdsAreNotThere) {
  const std::string other = "01HZX3J5Q8K2M4N6P7R9S0T1V2";
  ask("POST", "/v1/messages/hold", R"({"wait":false,"ids":[")" + other + R"("]})");
  clock_.advance(context_, std::chrono::seconds(1));
  const Json job = json("GET", "/v1/jobs/1");
  EXPECT_EQ(job["state"], "done");
  EXPECT_EQ(job["missing"], Json::array({other}));
}

TEST_F(Api, BouncesAThousandMessagesInOneJob) {
  for (int i = 0; i < 1000; ++i) accept({"later" + std::to_string(i) + "@b.example"});
  ask("POST", "/v1/messages/bounce",
      R"({"selector":{"destination":"b.example"},"wait":false,"reason":"closed"})");
  clock_.advance(context_, std::chrono::minutes(1));
  const Json job = json("GET", "/v1/jobs/1");
  EXPECT_EQ(job["state"], "done") << job;
  EXPECT_EQ(job["matched"], 1000);
  EXPECT_EQ(job["changed"], 1000);
  const Json summary = json("GET", "/v1/summary");
  EXPECT_EQ(summary["failed"], 1000);
  EXPECT_EQ(summary["accepted"], 2000) << "every message and the notice about it";
  EXPECT_EQ(summary["balanced"], true);
}

TEST_F(Api, CancelsAJobThatRuns) {
  for (int i = 0; i < 600; ++i) accept({"later@b.example"});  // more than one page
  const net::HttpResponse begun =
      ask("POST", "/v1/messages/hold", R"({"everything":true,"wait":false})");
  EXPECT_EQ(Json::parse(begun.body)["state"], "running");
  EXPECT_EQ(ask("DELETE", "/v1/jobs/1").status, 200);
  clock_.advance(context_, std::chrono::minutes(1));
  const Json job = json("GET", "/v1/jobs/1");
  EXPECT_EQ(job["state"], "cancelled");
  EXPECT_LT(job["changed"], 600);
  EXPECT_EQ(json("GET", "/v1/summary")["held"], job["changed"]);
}

TEST_F(Api, RunsABoundedNumberOfJobsAtATime) {
  for (int i = 0; i < 600; ++i) accept({"later@b.example"});
  const std::string body = R"({"everything":true,"wait":false})";
  for (std::size_t i = 0; i < JobBook::running_max; ++i) {
    EXPECT_EQ(ask("POST", "/v1/messages/retry", body).status, 202);
  }
  EXPECT_EQ(ask("POST", "/v1/messages/retry", body).status, 503);
  clock_.advance(context_, std::chrono::minutes(1));
  EXPECT_EQ(ask("POST", "/v1/messages/retry", body).status, 202);
}

TEST_F(Api, ForgetsJobsAfterAWhile) {
  ask("POST", "/v1/messages/hold", R"({"everything":true,"wait":false})");
  clock_.advance(context_, std::chrono::minutes(59));
  EXPECT_EQ(ask("GET", "/v1/jobs/1").status, 200);
  clock_.advance(context_, std::chrono::minutes(2));
  EXPECT_EQ(ask("GET", "/v1/jobs/1").status, 404);
  EXPECT_EQ(ask("DELETE", "/v1/jobs/1").status, 404);
  EXPECT_EQ(ask("GET", "/v1/jobs/x").status, 404);
}

TEST_F(Api, KeepsABoundedNumberOfEndedJobs) {
  for (int i = 0; i < 130; ++i) {
    EXPECT_EQ(ask("POST", "/v1/messages/hold", R"({"everything":true,"wait":false})").status, 202);
    clock_.advance(context_, std::chrono::seconds(1));
  }
  EXPECT_LE(json("GET", "/v1/jobs")["jobs"].size(), JobBook::ended_max);
  EXPECT_EQ(ask("GET", "/v1/jobs/130").status, 200);
}

// ---- lanes and what stops them ------------------------------------------------------------------

TEST_F(Api, SuspendsAndResumesADestination) {
  const Json suspended = json("POST", "/v1/suspensions",
                              R"({"destination":"B.example","for":"2h","reason":"their request"})");
  EXPECT_EQ(suspended["destination"], "b.example");
  EXPECT_EQ(suspended["reason"], "their request");
  EXPECT_FALSE(suspended["until"].is_null());
  const std::string id = accept({"now@b.example"});
  EXPECT_EQ(json("GET", "/v1/messages/" + id)["recipients"][0]["state"], "suspended");
  EXPECT_EQ(json("GET", "/v1/messages/" + id + "/why")["waits"][0]["reason"], "suspended");
  EXPECT_EQ(json("GET", "/v1/suspensions")["suspensions"].size(), 1u);
  const Json lanes = json("GET", "/v1/lanes?suspended=true")["lanes"];
  ASSERT_EQ(lanes.size(), 1u);
  EXPECT_EQ(lanes[0]["state"], "suspended");
  EXPECT_EQ(lanes[0]["suspension"]["reason"], "their request");

  EXPECT_EQ(json("DELETE", "/v1/suspensions?destination=b.example"), suspended);
  clock_.advance(context_, std::chrono::seconds(5));
  EXPECT_EQ(json("GET", "/v1/summary")["delivered"], 1);
  EXPECT_EQ(ask("DELETE", "/v1/suspensions?destination=b.example").status, 404);
}

TEST_F(Api, RefusesSuspensionsThatAreNone) {
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", "{}")), "destination");
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", "")), "destination");
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", R"({"destination":""})")), "destination");
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", R"({"destination":"a@b.example"})")),
            "destination");
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", R"({"destination":"b.example","for":"soon"})")),
            "for");
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", R"({"destination":"b.example","for":"0s"})")),
            "for");
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", R"({"destination":"b.example","x":"y"})")), "x");
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", R"({"destination":["b.example"]})")),
            "destination");
  EXPECT_EQ(blamed(ask("DELETE", "/v1/suspensions")), "destination");
  const std::string large = R"({"destination":"b.example","reason":")" + std::string(1001, 'x');
  EXPECT_EQ(blamed(ask("POST", "/v1/suspensions", large + "\"}")), "reason");
}

TEST_F(Api, ListsLanesTheFullestFirst) {
  accept({"later@small.example"});
  accept({"later1@large.example"});
  accept({"later2@large.example"});
  const Json all = json("GET", "/v1/lanes");
  EXPECT_EQ(all["total"], 2);
  EXPECT_EQ(all["lanes"][0]["destination"], "large.example");
  EXPECT_EQ(all["lanes"][0]["queued"], 2);
  EXPECT_EQ(json("GET", "/v1/lanes?limit=1")["lanes"].size(), 1u);
  EXPECT_EQ(json("GET", "/v1/lanes?limit=1")["total"], 2);
  EXPECT_EQ(json("GET", "/v1/lanes?destination=small.example")["lanes"][0]["queued"], 1);
  EXPECT_EQ(json("GET", "/v1/lanes?destination=none.example")["lanes"].size(), 0u);
  EXPECT_EQ(json("GET", "/v1/lanes?suspended=true")["lanes"].size(), 0u);
  EXPECT_EQ(blamed(ask("GET", "/v1/lanes?suspended=maybe")), "suspended");
  EXPECT_EQ(blamed(ask("GET", "/v1/lanes?limit=0")), "limit");
}

TEST_F(Api, ShowsTheQueueByAge) {
  accept({"later@b.example", "later2@b.example"});
  clock_.advance(context_, std::chrono::minutes(7));
  accept({"later@b.example", "later@c.example"});
  const Json shape = json("GET", "/v1/shape");
  ASSERT_EQ(shape["rows"].size(), 2u);
  EXPECT_EQ(shape["rows"][0]["destination"], "b.example");
  EXPECT_EQ(shape["rows"][0]["total"], 3);
  EXPECT_EQ(shape["rows"][0]["by_age"][0], 1);
  EXPECT_EQ(shape["rows"][0]["by_age"][1], 2);
  EXPECT_EQ(shape["all"]["total"], 4);
  EXPECT_EQ(json("GET", "/v1/shape?limit=1")["rows"].size(), 1u);
  EXPECT_EQ(json("GET", "/v1/shape?limit=1")["all"]["total"], 4);
  EXPECT_EQ(json("GET", "/v1/shape?destination=c.example")["all"]["total"], 1);
  EXPECT_EQ(json("GET", "/v1/shape?ages=1m,1h")["ages"], Json::parse(R"(["1m","1h"])"));
  EXPECT_EQ(blamed(ask("GET", "/v1/shape?ages=1h,1m")), "ages");
  EXPECT_EQ(blamed(ask("GET", "/v1/shape?limit=0")), "limit");
  EXPECT_EQ(blamed(ask("GET", "/v1/shape?by=size")), "by");
}

// ---- the daemon as a whole
// -----------------------------------------------------------------------

TEST_F(Api, AcceptsNothingNewWhileItDrains) {
  EXPECT_EQ(json("POST", "/v1/drain", R"({"reason":"maintenance"})")["draining"], true);
  const net::HttpResponse ready = ask("GET", "/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, HasSubstr("maintenance"));
  EXPECT_EQ(json("GET", "/v1/status")["draining"], true);
  EXPECT_EQ(json("GET", "/v1/status")["accepting"], false);
  EXPECT_EQ(json("POST", "/v1/undrain", "")["draining"], false);
  EXPECT_EQ(ask("GET", "/readyz").status, 200);
}

TEST_F(Api, ReloadsOrSaysWhatIsWrong) {
  EXPECT_EQ(json("POST", "/v1/reload", "{}")["reloaded"], true);
  wrong_settings_ = "mansio.toml:4: limits.mesage: there is no such option";
  const net::HttpResponse refused = ask("POST", "/v1/reload", "{}");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(Json::parse(refused.body)["error"]["message"], wrong_settings_);
  EXPECT_EQ(blamed(ask("POST", "/v1/reload", R"({"file":"/etc/passwd"})")), "file");
}

// ---- looking at destinations
// ---------------------------------------------------------------------

TEST_F(Api, ProbesADestination) {
  const Json report =
      json("POST", "/v1/probe", R"({"destination":"B.example","sender":"a@example.org"})");
  EXPECT_EQ(report["destination"], "b.example");
  EXPECT_EQ(report["how"], "a@example.org");
  EXPECT_EQ(report["addresses"][0]["address"], "192.0.2.1:25");
  EXPECT_EQ(report["addresses"][0]["preference"], nullptr);
}

TEST_F(Api, GivesATraceLineByLine) {
  const Json asked = json("POST", "/v1/traces", R"({"destination":"b.example"})");
  const std::string path = "/v1/traces/" + asked["trace"].dump();
  EXPECT_EQ(json("GET", path)["state"], "waiting");
  const auto trace = traces_.take("b.example");
  ASSERT_NE(trace, nullptr);
  trace->add({clock_.now(), delivery::TraceLine::Side::them, "220 hello \xff"});
  trace->add({clock_.now(), delivery::TraceLine::Side::us, "EHLO us"});
  const Json lines = json("GET", path + "?from=1")["lines"];
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["side"], "us");
  EXPECT_EQ(lines[0]["text"], "EHLO us");
  trace->set_state(delivery::Trace::State::over);
  EXPECT_EQ(json("GET", path)["state"], "over");
  EXPECT_EQ(json("DELETE", path)["forgotten"], true);
  EXPECT_EQ(ask("GET", path).status, 404);
  EXPECT_EQ(ask("DELETE", path).status, 404);
}

TEST_F(Api, RefusesMoreTracesThanItKeeps) {
  for (std::size_t i = 0; i < delivery::TraceBook::traces_max; ++i) {
    json("POST", "/v1/traces", R"({"destination":"b.example"})");
  }
  EXPECT_EQ(ask("POST", "/v1/traces", R"({"destination":"b.example"})").status, 503);
}

TEST_F(Api, SaysInTheStatusThatAMemorySpoolIsNotDurable) {
  const Json status = json("GET", "/v1/status");
  EXPECT_EQ(status["spool"]["durable"], false);
  EXPECT_EQ(status["version"], "1.2.3");
  EXPECT_EQ(status["accepting"], true);
  EXPECT_EQ(status["listeners"][0]["address"], "127.0.0.1:2525");
}

TEST_F(Api, CountsInTheMetricsWhatTheSummarySays) {
  accept({"later@b.example", "now@b.example"});
  const std::string text = ask("GET", "/metrics").body;
  EXPECT_THAT(text, HasSubstr("mansio_recipients_accepted_total{tenant=\"default\"} 2"));
  EXPECT_THAT(text, HasSubstr("mansio_recipients_delivered_total{tenant=\"default\"} 1"));
  EXPECT_THAT(text, HasSubstr("mansio_recipients_queued{tenant=\"default\"} 1"));
}

}  // namespace
}  // namespace mansio::admin

#include "mansio/sendmail_queue.h"

#include <cstdio>

#include "base/id.h"
#include "mansio/admin_client.h"
#include "mansio/format.h"

namespace mansio::cli {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

std::uint64_t number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

/// Behind the id: * is being sent, ! is held or needs a look.
std::string mark_of(const Json& recipients) {
  std::string mark;
  for (const Json& recipient : recipients) {
    const std::string state = text_at(recipient, "state");
    if (state == "in_flight") mark = "*";
    if (mark.empty() && (state == "held" || state == "quarantined" || state == "in_doubt")) {
      mark = "!";
    }
  }
  return mark;
}

void add_message(Rows& rows, const Json& message) {
  const Json recipients = message.value("recipients", Json::array());
  const std::string sender = text_at(message, "reverse_path");
  rows.push_back({text_at(message, "id") + mark_of(recipients),
                  size_text(number_at(message, "size")), text_at(message, "accepted_at"),
                  sender.empty() ? "MAILER-DAEMON" : sender});
  for (const Json& recipient : recipients) {
    const Json reply = recipient.value("last_reply", Json());
    if (reply.is_object()) {
      const std::string host = text_at(reply, "host");
      std::string why =
          number_at(reply, "code") == 0 ? "" : std::to_string(number_at(reply, "code")) + " ";
      why += text_at(reply, "text");
      rows.push_back({"", "", "", "  (" + (host.empty() ? "" : host + ": ") + why + ")"});
    }
    rows.push_back({"", "", text_at(recipient, "state"), "  " + text_at(recipient, "address")});
  }
}

}  // namespace

int show_queue(const GlobalOptions& global) {
  const AdminClient client(global);
  std::map<std::string, std::string> values{{"limit", "500"}};
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;
  do {
    const Json answer = client.get("/v1/messages" + query_of(values));
    Rows rows;
    if (messages == 0) {
      rows.push_back({"-Queue ID-", "-Size-", "-Arrived-", "-Sender/Recipients-"});
    }
    for (const Json& message : answer.at("messages")) {
      ++messages;
      octets += number_at(message, "size");
      add_message(rows, message);
    }
    if (messages > 0) std::fputs(table(rows).c_str(), stdout);
    values["resume"] = answer.value("resume", "");
  } while (!values["resume"].empty());
  if (messages == 0) {
    std::puts("Mail queue is empty");
  } else {
    std::printf("-- %s in %llu message%s.\n", size_text(octets).c_str(),
                static_cast<unsigned long long>(messages), messages == 1 ? "" : "s");
  }
  return ex_ok;
}

int flush_queue(const GlobalOptions& global, const SendmailOptions& options) {
  Json body;
  body["reason"] = "sendmail -q";
  switch (options.flush_by) {
    case 'I':
      if (!QueueId::parse(options.flush_value)) {
        throw SendmailFailure(ex_usage, "-qI: not a queue id: " + printable(options.flush_value));
      }
      body["ids"].push_back(options.flush_value);
      break;
    case 'R':
      if (options.flush_value.find('@') == std::string::npos) {
        body["selector"]["destination"] = options.flush_value;
      } else {
        body["selector"]["recipient"] = options.flush_value;
      }
      break;
    case 'S':
      body["selector"]["sender"] = options.flush_value;
      break;
    default:
      body["everything"] = true;
  }
  const Json result = AdminClient(global).post("/v1/messages/retry", body);
  if (options.verbose) std::fputs(change_text(result, "retry", false).c_str(), stdout);
  return ex_ok;
}

}  // namespace mansio::cli

// SPDX-License-Identifier: Apache-2.0
#include "sip/dialog.hpp"

#include <gtest/gtest.h>

#include <unordered_set>

#include "wire/sip/headers.hpp"

namespace godwit::sip {
namespace {

using wire::HeaderId;
using wire::Method;

wire::Message parse(const std::string& start, const std::string& headers) {
  auto message = wire::Message::parse(
      start + "\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\nCall-ID: c1\r\n" + headers +
      "Content-Length: 0\r\n\r\n");
  EXPECT_TRUE(message);
  return std::move(*message);
}
wire::Message ok(const std::string& headers, int status = 200) {
  return parse("SIP/2.0 " + std::to_string(status) + " X",
               "From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>;tag=b\r\n"
               "CSeq: 7 INVITE\r\n" +
                   headers);
}
wire::Message invite(const std::string& headers) {
  return parse("INVITE sip:bob@10.0.0.2 SIP/2.0",
               "From: \"Al\" <sip:alice@example.org>;tag=a\r\nTo: sip:bob@example.org\r\n"
               "CSeq: 7 INVITE\r\n" +
                   headers);
}

Dialog::Seed seed() {
  Dialog::Seed s;
  s.call_id = "c1";
  s.local_tag = "a";
  s.local_party = "<sip:alice@example.org>";
  s.remote_party = "<sip:bob@example.org>";
  s.cseq = 7;
  return s;
}

/// "METHOD uri | Route: …" of a request as the peer's stack would read it.
std::string targets(const wire::RequestDraft& draft) {
  std::string text = draft.request_uri;
  for (const auto& header : draft.headers) {
    if (header.id == HeaderId::Route) text += " | " + header.value;
  }
  return text;
}

TEST(Dialog, CallerTakesRecordRoutesInReverse) {
  auto dialog = Dialog::as_uac(
      seed(), "sip:bob@example.org",
      ok("Contact: <sip:bob@10.0.0.9:5070>\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\n"
         "Record-Route: <sip:p3;lr>\r\n"));
  ASSERT_TRUE(dialog);
  EXPECT_EQ(dialog->id, (DialogId{"c1", "a", "b"}));
  EXPECT_EQ(dialog->phase, Dialog::Phase::Confirmed);
  EXPECT_EQ(dialog->next_hop(), "sip:p3;lr");
  const auto draft = dialog->make_request(Method::Bye);
  EXPECT_EQ(targets(draft), "sip:bob@10.0.0.9:5070 | <sip:p3;lr> | <sip:p2;lr> | <sip:p1;lr>");
  EXPECT_EQ(*wire::find_header(draft.headers, HeaderId::From), "<sip:alice@example.org>;tag=a");
  EXPECT_EQ(*wire::find_header(draft.headers, HeaderId::To), "<sip:bob@example.org>;tag=b");
  EXPECT_EQ(*wire::find_header(draft.headers, HeaderId::CSeq), "8 BYE");
}

TEST(Dialog, CalleeTakesThemInOrder) {
  auto dialog = Dialog::as_uas(
      invite("Contact: <sip:al@10.0.0.1:5071>\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\n"), "t");
  ASSERT_TRUE(dialog);
  EXPECT_EQ(dialog->id, (DialogId{"c1", "t", "a"}));
  EXPECT_EQ(dialog->phase, Dialog::Phase::Early);
  const auto draft = dialog->make_request(Method::Update);
  EXPECT_EQ(targets(draft), "sip:al@10.0.0.1:5071 | <sip:p1;lr> | <sip:p2;lr>");
  EXPECT_EQ(*wire::find_header(draft.headers, HeaderId::From), "<sip:bob@example.org>;tag=t");
  EXPECT_EQ(*wire::find_header(draft.headers, HeaderId::To),
            "\"Al\" <sip:alice@example.org>;tag=a");
  EXPECT_TRUE(draft.contact.wanted);
  EXPECT_FALSE(dialog->make_request(Method::Bye).contact.wanted);
}

TEST(Dialog, StrictRouterGetsItsOwnUri) {
  // RFC 3261 §12.2.1.1, and the example of §16.12.1.2.
  auto dialog = Dialog::as_uac(seed(), "sip:bob@example.org",
                               ok("Contact: <sip:bob@10.0.0.9>\r\n"
                                  "Record-Route: <sip:p1;lr>, <sip:p2;maddr=10.0.0.4>\r\n"));
  ASSERT_TRUE(dialog);
  EXPECT_EQ(targets(dialog->make_request(Method::Info)),
            "sip:p2;maddr=10.0.0.4 | <sip:p1;lr> | <sip:bob@10.0.0.9>");
  EXPECT_EQ(targets(dialog->make_ack(7)), targets(dialog->make_request(Method::Info)));
}

TEST(Dialog, SequenceNumbersOnlyRise) {
  auto dialog = Dialog::as_uac(seed(), "sip:bob@example.org", ok("Contact: <sip:b@h>\r\n"));
  ASSERT_TRUE(dialog);
  EXPECT_EQ(*wire::find_header(dialog->make_ack(7).headers, HeaderId::CSeq), "7 ACK");
  EXPECT_EQ(dialog->local_cseq, 7U) << "an ACK takes none";
  EXPECT_EQ(*wire::find_header(dialog->make_request(Method::Invite).headers, HeaderId::CSeq),
            "8 INVITE");
  EXPECT_EQ(*wire::find_header(dialog->make_request(Method::Update).headers, HeaderId::CSeq),
            "9 UPDATE");

  EXPECT_EQ(dialog->check_request_cseq(500), Dialog::Order::Next) << "the first sets it";
  EXPECT_EQ(dialog->check_request_cseq(499), Dialog::Order::OutOfOrder);
  EXPECT_EQ(dialog->check_request_cseq(500), Dialog::Order::OutOfOrder);
  EXPECT_EQ(dialog->check_request_cseq(503), Dialog::Order::Next);
  EXPECT_EQ(dialog->remote_cseq, 503U);

  auto callee = Dialog::as_uas(invite("Contact: <sip:al@h>\r\n"), "t");
  ASSERT_TRUE(callee);
  EXPECT_EQ(callee->check_request_cseq(7), Dialog::Order::OutOfOrder) << "the INVITE's own";
  EXPECT_EQ(callee->check_request_cseq(8), Dialog::Order::Next);
}

TEST(Dialog, TargetRefreshMovesTheTargetButNotTheRoutes) {
  auto dialog = Dialog::as_uac(seed(), "sip:bob@example.org",
                               ok("Contact: <sip:b@h1>\r\nRecord-Route: <sip:p1;lr>\r\n"));
  ASSERT_TRUE(dialog);
  EXPECT_TRUE(dialog->refresh_target(
      ok("Contact: <sip:b@h2>\r\nRecord-Route: <sip:evil;lr>\r\nAllow: INVITE, UPDATE\r\n")));
  EXPECT_EQ(targets(dialog->make_request(Method::Bye)), "sip:b@h2 | <sip:p1;lr>");
  EXPECT_TRUE(dialog->peer_allows(Method::Update));
  EXPECT_FALSE(dialog->peer_allows(Method::Refer));
  EXPECT_FALSE(dialog->refresh_target(ok("Contact: <sip:b@h2>\r\n")));
  EXPECT_FALSE(dialog->refresh_target(ok("")));
  EXPECT_TRUE(dialog->peer_allows(Method::Update)) << "not said again is not taken back";
}

TEST(Dialog, AnswerRecomputesTheRoutesOfAnEarlyDialogOnly) {
  auto dialog = Dialog::as_uac(seed(), "sip:bob@example.org", ok("To-Be: ignored\r\n", 180));
  ASSERT_TRUE(dialog);
  EXPECT_EQ(dialog->phase, Dialog::Phase::Early);
  EXPECT_EQ(dialog->remote_target, "sip:bob@example.org") << "for want of a Contact";
  EXPECT_TRUE(dialog->confirm(ok("Contact: <sip:b@h>\r\nRecord-Route: <sip:p1;lr>\r\n")));
  EXPECT_EQ(dialog->route_set, (std::vector<std::string>{"<sip:p1;lr>"}));
  dialog->confirm(ok("Contact: <sip:b@h>\r\nRecord-Route: <sip:p2;lr>\r\n"));
  EXPECT_EQ(dialog->route_set, (std::vector<std::string>{"<sip:p1;lr>"}));
}

TEST(Dialog, WhatCannotMakeOne) {
  EXPECT_FALSE(Dialog::as_uac(seed(), "sip:b@h",
                              ok("Contact: <sip:b@h>\r\n"
                                 "Record-Route: <<\r\n")));
  EXPECT_FALSE(Dialog::as_uas(invite(""), "t")) << "no Contact";
  std::string many = "Contact: <sip:al@h>\r\n";
  for (std::size_t i = 0; i < kMaxRoutes; ++i) many += "Record-Route: <sip:p;lr>\r\n";
  EXPECT_TRUE(Dialog::as_uas(invite(many), "t"));
  EXPECT_FALSE(Dialog::as_uas(invite(many + "Record-Route: <sip:p;lr>\r\n"), "t"));
}

TEST(Dialog, IdsOfThePeersRequests) {
  const auto request =
      parse("BYE sip:a@h SIP/2.0",
            "From: <sip:bob@example.org>;tag=b\r\nTo: <sip:alice@example.org>;tag=a"
            "\r\nCSeq: 1 BYE\r\n");
  EXPECT_EQ(dialog_id_of_request(request), (DialogId{"c1", "a", "b"}));
  EXPECT_FALSE(dialog_id_of_request(invite("Contact: <sip:al@h>\r\n")));
  std::unordered_set<DialogId> ids;
  ids.insert({"c", "a", "b"});
  ids.insert({"c", "b", "a"});
  ids.insert({"c", "a", "b"});
  EXPECT_EQ(ids.size(), 2U);
}

}  // namespace
}  // namespace godwit::sip

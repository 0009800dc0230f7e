// SPDX-License-Identifier: Apache-2.0
//
// The bodies of notifications: what they say, and what of a stranger's is refused.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/event/dialog_info.hpp"
#include "wire/event/message_summary.hpp"
#include "wire/event/pidf.hpp"
#include "wire/xml/xml.hpp"

namespace godwit::wire {
namespace {

TEST(MessageSummary, ReadsTheExampleOfTheRfc) {
  const auto summary = parse_message_summary(
      "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n"
      "Voice-Message: 2/8 (0/2)\r\nFax-Message: 1/0\r\n\r\nTo: <sip:x>\r\nbroken line\r\n");
  ASSERT_TRUE(summary) << summary.error().detail;
  EXPECT_TRUE(summary->waiting);
  EXPECT_EQ(summary->account, "sip:alice@vmail.example.com");
  ASSERT_EQ(summary->counts.size(), 2U);
  EXPECT_EQ(summary->counts[0].kind, "voice-message");
  EXPECT_EQ(summary->counts[0].fresh, 2U);
  EXPECT_EQ(summary->counts[0].old, 8U);
  EXPECT_EQ(summary->counts[0].urgent_fresh, 0U);
  EXPECT_EQ(summary->counts[0].urgent_old, 2U);
  EXPECT_EQ(summary->counts[1].kind, "fax-message");
  EXPECT_EQ(summary->counts[1].fresh, 1U);
}

TEST(MessageSummary, TheShortFormAndLooseSpelling) {
  EXPECT_FALSE(parse_message_summary("messages-waiting:NO")->waiting);
  EXPECT_TRUE(parse_message_summary("Messages-Waiting : yes\n")->waiting);
  EXPECT_EQ(parse_message_summary("Messages-Waiting: yes\nvoice-message: 1 / 2 ( 3 / 4 )\n")
                ->counts[0]
                .urgent_old,
            4U);
}

TEST(MessageSummary, RefusesWhatSaysNothing) {
  for (const char* body :
       {"", "Voice-Message: 1/2\r\n", "Messages-Waiting: maybe\r\n", "Messages-Waiting\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 1/x\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 1/2 (3\r\n",
        "Messages-Waiting: yes\r\nVoice-Message: 99999999999/0\r\n"}) {
    EXPECT_FALSE(parse_message_summary(body)) << body;
  }
  std::string many = "Messages-Waiting: yes\r\n";
  for (int i = 0; i < 100; ++i) many += "x" + std::to_string(i) + ": 1/2\r\n";
  EXPECT_EQ(parse_message_summary(many)->counts.size(), kMaxMessageKinds);
  EXPECT_FALSE(parse_message_summary(std::string(70'000, 'x')));
}

constexpr const char* kPidf = R"(<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
    entity="pres:bob@example.org">
  <tuple id="a1"><status><basic>open</basic><x:basic xmlns:x="urn:x">closed</x:basic></status>
    <contact priority="0.8">sip:bob@192.0.2.1</contact><note>at &lt;work&gt;</note></tuple>
  <tuple id="a2"><status><basic> closed </basic></status></tuple>
  <tuple id="a3"><status/></tuple>
  <note>out</note><note>second</note>
  <dm:person id="p1"><note>not this one</note></dm:person>
</presence>)";

TEST(Pidf, ReadsTuplesContactsAndNotes) {
  const auto presence = parse_pidf(kPidf);
  ASSERT_TRUE(presence) << presence.error().detail;
  EXPECT_EQ(presence->entity, "pres:bob@example.org");
  ASSERT_EQ(presence->tuples.size(), 3U);
  EXPECT_EQ(presence->tuples[0].id, "a1");
  EXPECT_EQ(presence->tuples[0].open, true);
  EXPECT_EQ(presence->tuples[0].contact, "sip:bob@192.0.2.1");
  EXPECT_EQ(presence->tuples[0].note, "at <work>");
  EXPECT_EQ(presence->tuples[1].open, false);
  EXPECT_FALSE(presence->tuples[2].open);
  EXPECT_EQ(presence->note, "out");
}

TEST(Pidf, RefusesWhatIsNoPresence) {
  for (const char* document :
       {"", "hello", "<presence/>", "<presence xmlns='urn:ietf:params:xml:ns:pidf'/>",
        "<presence xmlns='urn:other' entity='x'/>",
        "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='x'>"}) {
    EXPECT_FALSE(parse_pidf(document)) << document;
  }
  std::string many = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='x'>";
  for (int i = 0; i < 200; ++i) many += "<tuple id='t'><status/></tuple>";
  EXPECT_EQ(parse_pidf(many + "</presence>")->tuples.size(), kMaxTuples);
}

TEST(Xml, NothingExpandsAndNothingIsFetched) {
  const std::string bomb =
      "<?xml version='1.0'?><!DOCTYPE presence [<!ENTITY a 'aaaaaaaaaa'>"
      "<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
      "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='x'><note>&b;</note></presence>";
  const auto refused = parse_pidf(bomb);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
  EXPECT_FALSE(parse_pidf("<!DOCTYPE p SYSTEM 'file:///etc/passwd'><p/>"));
  EXPECT_FALSE(
      parse_pidf("<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='x'>&b;</presence>"));
}

TEST(Xml, DepthElementsAndTextAreBounded) {
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "<a>";
  const auto nested = parse_pidf(deep);
  ASSERT_FALSE(nested);
  EXPECT_EQ(nested.error().code, ErrorCode::TooLarge);
  std::string wide = "<a>";
  for (int i = 0; i < 5'000; ++i) wide += "<b/>";
  EXPECT_EQ(parse_pidf(wide + "</a>").error().code, ErrorCode::TooLarge);
  EXPECT_EQ(parse_pidf(std::string(70'000, ' ')).error().code, ErrorCode::TooLarge);
  const auto longer = parse_pidf("<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='x'><note>" +
                                 std::string(20'000, 'n') + "</note></presence>");
  ASSERT_TRUE(longer);
  EXPECT_EQ(longer->note.size(), 256U);
}

constexpr const char* kDialogInfo = R"(<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="full"
    entity="sip:bob@example.org">
  <dialog id="d1" call-id="c" local-tag="l" remote-tag="r" direction="initiator">
    <state code="180">early</state>
    <local><identity>sip:bob@example.org</identity><target uri="sip:bob@192.0.2.1"/></local>
    <remote><target uri="sip:carol@192.0.2.2"/></remote>
  </dialog>
  <dialog id="d2"><state>confirmed</state></dialog>
</dialog-info>)";

TEST(DialogInfo, ReadsCallsAndTheirParties) {
  const auto info = parse_dialog_info(kDialogInfo);
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->version, 3U);
  EXPECT_TRUE(info->full);
  EXPECT_EQ(info->entity, "sip:bob@example.org");
  ASSERT_EQ(info->dialogs.size(), 2U);
  EXPECT_EQ(info->dialogs[0].state, DialogInfo::State::Early);
  EXPECT_TRUE(info->dialogs[0].outgoing);
  EXPECT_EQ(info->dialogs[0].local, "sip:bob@example.org");
  EXPECT_EQ(info->dialogs[0].remote, "sip:carol@192.0.2.2");
  EXPECT_EQ(info->dialogs[1].state, DialogInfo::State::Confirmed);
  EXPECT_FALSE(info->dialogs[1].outgoing);
}

TEST(DialogInfo, RefusesWhatIsIncomplete) {
  const std::string space = "xmlns='urn:ietf:params:xml:ns:dialog-info'";
  for (const std::string& document : std::vector<std::string>{
           "<dialog-info " + space + " version='x' state='full' entity='e'/>",
           "<dialog-info " + space + " version='1' state='half' entity='e'/>",
           "<dialog-info " + space + " version='1' state='full'/>",
           "<dialog-info version='1' state='full' entity='e'/>",
           "<dialog-info " + space +
               " version='1' state='full' entity='e'><dialog><state>early</state></dialog>"
               "</dialog-info>",
           "<dialog-info " + space +
               " version='1' state='full' entity='e'><dialog id='1'><state>odd</state></dialog>"
               "</dialog-info>",
           "<dialog-info " + space +
               " version='1' state='full' entity='e'><dialog id='1'></dialog></dialog-info>"}) {
    EXPECT_FALSE(parse_dialog_info(document)) << document;
  }
}

DialogInfo document(std::uint32_t version, bool full,
                    std::vector<std::pair<std::string, DialogInfo::State>> dialogs) {
  DialogInfo info;
  info.version = version;
  info.full = full;
  for (auto& [id, state] : dialogs) info.dialogs.push_back({id, state, false, {}, {}});
  return info;
}

TEST(DialogInfoState, PutsPartialDocumentsTogether) {
  using enum DialogInfo::State;
  DialogInfoState state;
  EXPECT_TRUE(state.apply(document(0, true, {{"a", Early}, {"b", Confirmed}})));
  EXPECT_FALSE(state.has_gap());
  EXPECT_TRUE(state.apply(document(1, false, {{"a", Confirmed}, {"b", Terminated}})));
  ASSERT_EQ(state.current().dialogs.size(), 2U);
  EXPECT_EQ(state.current().dialogs[0].state, Confirmed);
  EXPECT_EQ(state.current().dialogs[1].state, Terminated);
  EXPECT_FALSE(state.apply(document(1, true, {}))) << "an old one comes late";
  EXPECT_TRUE(state.apply(document(2, false, {{"c", Trying}})));
  ASSERT_EQ(state.current().dialogs.size(), 2U) << "what ended is gone";
  EXPECT_EQ(state.current().dialogs[1].id, "c");
  EXPECT_TRUE(state.apply(document(5, false, {{"d", Trying}})));
  EXPECT_TRUE(state.has_gap());
  EXPECT_TRUE(state.apply(document(6, true, {})));
  EXPECT_FALSE(state.has_gap());
  EXPECT_TRUE(state.current().dialogs.empty());
}

TEST(DialogInfoState, KeepsNoMoreThanItsLimit) {
  DialogInfoState state;
  for (std::uint32_t i = 0; i < 200; ++i) {
    state.apply(document(i, false, {{"d" + std::to_string(i), DialogInfo::State::Early}}));
  }
  EXPECT_EQ(state.current().dialogs.size(), kMaxDialogs);
}

}  // namespace
}  // namespace godwit::wire

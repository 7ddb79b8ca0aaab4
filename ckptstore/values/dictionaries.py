"""What compression knows beforehand: small values are mostly the names of fields, and those are nearly always the same.

A dictionary is part of the format of what was stored with it: it never changes and never goes. A better one is added
beside it, under another name.
"""

from __future__ import annotations

#: What LangGraph's serialiser makes of LangChain's messages with next to nothing in them: a raw-content dictionary for zstd.
MESSAGES = b"".join(
    (
        b"msgpack\xa8uuid\xa4UUID datetime\xacfromisoformat collections\xa5deque langgraph.types\xa4Send\xa9Interrup",
        b"t branch:to:\xa9__start__\xad__interrupt__\xaa__resume__\xb0__pregel_tasks\xc7\x89\x05\x94\xbelangchain_core.messag",
        b"es.system\xadSystemMessage\x86\xa7content\xa1 \xb1additional_kwargs\x80\xb1response_metadata\x80\xa4type\xa6system\xa4nam",
        b"e\xc0\xa2id\xc0\xb3model_validate_json\xc7\xb1\x05\x94\xbclangchain_core.messages.tool\xabToolMessage\x89\xa7content\xa1 \xb1addit",
        b"ional_kwargs\x80\xb1response_metadata\x80\xa4type\xa4tool\xa4name\xa1 \xa2id\xa1 \xactool_call_id\xa5call_\xa8artifact\xc0\xa6stat",
        b"us\xa7success\xb3model_validate_json\xc8\x02<\x05\x94\xbalangchain_core.messages.ai\xa9AIMessage\x89\xa7content\x92\x83\xa4type",
        b"\xa4text\xa4text\xa1 \xabannotations\x90\x84\xa4type\xa8tool_use\xa2id\xa6toolu_\xa4name\xa1 \xa5input\x80\xb1additional_kwargs\x80\xb1resp",
        b"onse_metadata\x87\xa2id\xa4msg_\xa5model\xa7claude-\xabstop_reason\xa8end_turn\xadstop_sequence\xc0\xa5usage\x84\xacinput_to",
        b"kens\x01\xadoutput_tokens\x01\xbbcache_creation_input_tokens\x00\xb7cache_read_input_tokens\x00\xaamodel_name\xa7cl",
        b"aude-\xaemodel_provider\xa9anthropic\xa4type\xa2ai\xa4name\xc0\xa2id\xa8lc_run--\xaatool_calls\x91\x84\xa4name\xa1 \xa4args\x80\xa2id\xa5ca",
        b"ll_\xa4type\xa9tool_call\xb2invalid_tool_calls\x90\xaeusage_metadata\x84\xacinput_tokens\x01\xadoutput_tokens\x01\xactota",
        b"l_tokens\x02\xb3input_token_details\x82\xaecache_creation\x00\xaacache_read\x00\xb3model_validate_json\xc8\x02\x99\x05\x94\xbalang",
        b"chain_core.messages.ai\xa9AIMessage\x89\xa7content\xa1 \xb1additional_kwargs\x81\xa7refusal\xc0\xb1response_metadat",
        b"a\x88\xabtoken_usage\x85\xb1completion_tokens\x01\xadprompt_tokens\x01\xactotal_tokens\x02\xb9completion_tokens_detail",
        b"s\x84\xbaaccepted_prediction_tokens\x00\xacaudio_tokens\x00\xb0reasoning_tokens\x00\xbarejected_prediction_token",
        b"s\x00\xb5prompt_tokens_details\x82\xacaudio_tokens\x00\xadcached_tokens\x00\xaemodel_provider\xa6openai\xaamodel_name\xa4",
        b"gpt-\xb2system_fingerprint\xa3fp_\xa2id\xa9chatcmpl-\xacservice_tier\xa7default\xadfinish_reason\xa4stop\xa8logprob",
        b"s\xc0\xa4type\xa2ai\xa4name\xc0\xa2id\xa8lc_run--\xaatool_calls\x90\xb2invalid_tool_calls\x90\xaeusage_metadata\x85\xacinput_token",
        b"s\x01\xadoutput_tokens\x01\xactotal_tokens\x02\xb3input_token_details\x82\xa5audio\x00\xaacache_read\x00\xb4output_token_det",
        b"ails\x82\xa5audio\x00\xa9reasoning\x00\xb3model_validate_json\x81\xa8messages\x91\xc7\x87\x05\x94\xbdlangchain_core.messages.human",
        b"\xacHumanMessage\x86\xa7content\xa1 \xb1additional_kwargs\x80\xb1response_metadata\x80\xa4type\xa5human\xa4name\xc0\xa2id\xa1 \xb3mod",
        b"el_validate_json\xc7\xae\x05\x94\xbalangchain_core.messages.ai\xa9AIMessage\x89\xa7content\xa1 \xb1additional_kwargs\x80\xb1",
        b"response_metadata\x80\xa4type\xa2ai\xa4name\xc0\xa2id\xa1 \xaatool_calls\x90\xb2invalid_tool_calls\x90\xaeusage_metadata\xc0\xb3mo",
        b"del_validate_json",
    )
)

-- What the exporter asks for by a property that few rows have is found without reading the others.

CREATE INDEX finance_export_map_error_idx ON finance_export_map (tenant, realm, kind) WHERE error IS NOT NULL;
CREATE INDEX finance_export_sends_call_idx ON finance_export_sends (call_id) WHERE call_id IS NOT NULL;

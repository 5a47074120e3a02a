export * from "millrace:plugin/state@0.1.0";

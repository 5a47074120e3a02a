export * from "millrace:plugin/http@0.1.0";
